"""How Alembic runs a migration: on the connection, and in the transaction, that it is handed."""

from __future__ import annotations

from alembic import context

from data.store.database import METADATA, VERSION_TABLE

# SQLite changes tables within a transaction as well; Alembic assumes that it does not, because Python's driver used to
# break them.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
