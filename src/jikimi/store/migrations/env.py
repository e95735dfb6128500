"""Run by Alembic: migrates the connection that `jikimi.store.migrations` hands over."""

from alembic import context

from jikimi.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a column only by making its table anew
)
with context.begin_transaction():
    context.run_migrations()
