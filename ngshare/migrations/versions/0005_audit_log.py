"""The audit log.

While a site upgrades, the previous release goes on working, and writes none.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Name = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade():
    op.create_table(
        "audit_log",
        sa.Column("pk", Key, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("course_id", Name, nullable=True),
        sa.Column("assignment_id", Name, nullable=True),
        sa.Column("username", Name, nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_course_id"), "audit_log", ["course_id"], unique=False)
    op.create_index(op.f("ix_audit_log_at"), "audit_log", ["at"], unique=False)


def downgrade():
    op.drop_table("audit_log")
