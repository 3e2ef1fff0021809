"""Who has fetched which version of an assignment.

While a site upgrades, the previous release goes on working, and notes none; when it purges an
assignment or merges people the database removes these rows, too.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "fetches",
        sa.Column("assignment_pk", Key, nullable=False),
        sa.Column("user_pk", Key, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_pk"],
            ["assignments.pk"],
            name=op.f("fk_fetches_assignment_pk"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_pk"],
            ["users.pk"],
            name=op.f("fk_fetches_user_pk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("assignment_pk", "user_pk", "version", name=op.f("pk_fetches")),
    )
    op.create_index(op.f("ix_fetches_user_pk"), "fetches", ["user_pk"], unique=False)


def downgrade():
    op.drop_table("fetches")
