"""What Alembic runs: migrations on the connection that it is given. It knows no address of its own."""

from alembic import context

from station.floor.schema import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, version_table="floor_version")
with context.begin_transaction():
    context.run_migrations()
