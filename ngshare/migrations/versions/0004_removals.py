"""Submissions that were removed from sight.

While a site upgrades, the previous release goes on working on the new schema: it shows what the
new one has removed, and when it purges an assignment the database removes these rows, too.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "removals",
        sa.Column("submission_pk", Key, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_pk"],
            ["submissions.pk"],
            name=op.f("fk_removals_submission_pk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("submission_pk", name=op.f("pk_removals")),
    )


def downgrade():
    op.drop_table("removals")
