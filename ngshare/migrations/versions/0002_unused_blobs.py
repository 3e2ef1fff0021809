"""Since when a blob is unused, for the garbage collector.

While a site upgrades, the previous release goes on working on the new schema: it leaves the
column null, which means that nobody has looked yet.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("blobs", sa.Column("unused_since", sa.DateTime(timezone=True), nullable=True))


def downgrade():
    op.drop_column("blobs", "unused_since")
