"""The tables of ngshare 1.0.

Revision ID: 0001
Revises: nothing
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Name = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade():
    op.create_table(
        "blobs",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.Column("encoding", sa.Text(), nullable=False),
        sa.Column("stored_size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blobs")),
    )
    op.create_table(
        "courses",
        sa.Column("pk", Key, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_courses")),
        sa.UniqueConstraint("name", name=op.f("uq_courses_name")),
    )
    op.create_table(
        "snapshots",
        sa.Column("pk", Key, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("file_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_snapshots")),
        sa.UniqueConstraint("digest", name=op.f("uq_snapshots_digest")),
    )
    op.create_table(
        "users",
        sa.Column("pk", Key, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "assignments",
        sa.Column("pk", Key, nullable=False),
        sa.Column("course_pk", Key, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["course_pk"], ["courses.pk"], name=op.f("fk_assignments_course_pk")
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_assignments")),
        sa.UniqueConstraint("course_pk", "name", name=op.f("uq_assignments_course_pk_name")),
    )
    op.create_table(
        "blob_chunks",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name=op.f("fk_blob_chunks_digest")),
        sa.PrimaryKeyConstraint("digest", "seq", name=op.f("pk_blob_chunks")),
    )
    op.create_table(
        "memberships",
        sa.Column("pk", Key, nullable=False),
        sa.Column("course_pk", Key, nullable=False),
        sa.Column("user_pk", Key, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint("role IN ('instructor', 'student')", name=op.f("ck_memberships_role")),
        sa.ForeignKeyConstraint(
            ["course_pk"], ["courses.pk"], name=op.f("fk_memberships_course_pk")
        ),
        sa.ForeignKeyConstraint(["user_pk"], ["users.pk"], name=op.f("fk_memberships_user_pk")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_memberships")),
        sa.UniqueConstraint("course_pk", "user_pk", name=op.f("uq_memberships_course_pk_user_pk")),
    )
    op.create_index(op.f("ix_memberships_user_pk"), "memberships", ["user_pk"], unique=False)
    op.create_table(
        "snapshot_files",
        sa.Column("pk", Key, nullable=False),
        sa.Column("snapshot_pk", Key, nullable=False),
        sa.Column("path", Name, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["blobs.digest"], name=op.f("fk_snapshot_files_digest")
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_pk"], ["snapshots.pk"], name=op.f("fk_snapshot_files_snapshot_pk")
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_snapshot_files")),
        sa.UniqueConstraint("snapshot_pk", "path", name=op.f("uq_snapshot_files_snapshot_pk_path")),
    )
    op.create_index(op.f("ix_snapshot_files_digest"), "snapshot_files", ["digest"], unique=False)
    op.create_table(
        "releases",
        sa.Column("assignment_pk", Key, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("snapshot_pk", Key, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_pk"], ["assignments.pk"], name=op.f("fk_releases_assignment_pk")
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_pk"], ["snapshots.pk"], name=op.f("fk_releases_snapshot_pk")
        ),
        sa.PrimaryKeyConstraint("assignment_pk", "version", name=op.f("pk_releases")),
    )
    op.create_index(op.f("ix_releases_snapshot_pk"), "releases", ["snapshot_pk"], unique=False)
    op.create_table(
        "submissions",
        sa.Column("pk", Key, nullable=False),
        sa.Column("assignment_pk", Key, nullable=False),
        sa.Column("user_pk", Key, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("snapshot_pk", Key, nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_pk"], ["assignments.pk"], name=op.f("fk_submissions_assignment_pk")
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_pk"], ["snapshots.pk"], name=op.f("fk_submissions_snapshot_pk")
        ),
        sa.ForeignKeyConstraint(["user_pk"], ["users.pk"], name=op.f("fk_submissions_user_pk")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_submissions")),
        sa.UniqueConstraint(
            "assignment_pk", "user_pk", "at", name=op.f("uq_submissions_assignment_pk_user_pk_at")
        ),
    )
    op.create_index(
        op.f("ix_submissions_snapshot_pk"), "submissions", ["snapshot_pk"], unique=False
    )
    op.create_index(op.f("ix_submissions_user_pk"), "submissions", ["user_pk"], unique=False)
    op.create_table(
        "feedback",
        sa.Column("submission_pk", Key, nullable=False),
        sa.Column("snapshot_pk", Key, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_pk"], ["snapshots.pk"], name=op.f("fk_feedback_snapshot_pk")
        ),
        sa.ForeignKeyConstraint(
            ["submission_pk"], ["submissions.pk"], name=op.f("fk_feedback_submission_pk")
        ),
        sa.PrimaryKeyConstraint("submission_pk", name=op.f("pk_feedback")),
    )
    op.create_index(op.f("ix_feedback_snapshot_pk"), "feedback", ["snapshot_pk"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        # Chunks are compressed already where that helps; EXTERNAL spares PostgreSQL the attempt.
        op.execute("ALTER TABLE blob_chunks ALTER COLUMN data SET STORAGE EXTERNAL")


def downgrade():
    op.drop_table("feedback")
    op.drop_table("submissions")
    op.drop_table("releases")
    op.drop_table("snapshot_files")
    op.drop_table("memberships")
    op.drop_table("blob_chunks")
    op.drop_table("assignments")
    op.drop_table("users")
    op.drop_table("snapshots")
    op.drop_table("courses")
    op.drop_table("blobs")
