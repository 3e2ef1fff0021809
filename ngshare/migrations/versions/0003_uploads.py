"""Contents that are sent ahead, and the names that clients give their submissions.

While a site upgrades, the previous release goes on working on the new schema: it leaves the
column null. Its garbage collector knows no uploads: it can't remove their snapshots, to which they
refer, and tries again when it runs next.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.add_column("submissions", sa.Column("idempotency_key", sa.Text(), nullable=True))
    op.create_index(
        op.f("ix_submissions_assignment_pk_user_pk_idempotency_key"),
        "submissions",
        ["assignment_pk", "user_pk", "idempotency_key"],
        unique=True,
    )
    op.create_table(
        "uploads",
        sa.Column("pk", Key, nullable=False),
        sa.Column("course_pk", Key, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("snapshot_pk", Key, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["course_pk"], ["courses.pk"], name=op.f("fk_uploads_course_pk")),
        sa.ForeignKeyConstraint(
            ["snapshot_pk"], ["snapshots.pk"], name=op.f("fk_uploads_snapshot_pk")
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_uploads")),
        sa.UniqueConstraint(
            "course_pk", "by", "snapshot_pk", name=op.f("uq_uploads_course_pk_by_snapshot_pk")
        ),
    )
    op.create_index(op.f("ix_uploads_snapshot_pk"), "uploads", ["snapshot_pk"], unique=False)


def downgrade():
    op.drop_table("uploads")
    op.drop_index(op.f("ix_submissions_assignment_pk_user_pk_idempotency_key"), "submissions")
    op.drop_column("submissions", "idempotency_key")
