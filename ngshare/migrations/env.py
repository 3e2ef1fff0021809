"""Run by alembic: migrates over the connection that database.upgrade opened."""

from alembic import context

from ngshare.database.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transaction_per_migration=False,
)
context.run_migrations()
