"""The tables of version 1 of the floor's database."""

from alembic import op

from station.floor.schema import METADATA

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables as the version had them."""
    METADATA.create_all(op.get_bind())


def downgrade() -> None:
    """Nobody goes back: what stations told would be lost."""
    raise NotImplementedError("the first version of the schema has none before it")
