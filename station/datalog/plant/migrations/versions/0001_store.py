"""The tables of version 1 of the store; on PostgreSQL a view with one row a value."""

from alembic import op

from station.datalog.schema import METADATA

revision = "0001"
down_revision = None
MEASURED = """
CREATE VIEW meas AS
SELECT r.station, r.lot, d.run_id, d.id AS device_id, d.part_id, d.exec_no, d.site, d.hbin, d.sbin,
       (s.defs -> (v.place - 1)::int ->> 'number')::bigint AS test,
       s.defs -> (v.place - 1)::int ->> 'name' AS name,
       v.value
FROM device d
JOIN run r ON r.id = d.run_id
JOIN test_set s ON s.id = r.test_set_id
CROSS JOIN LATERAL unnest(d.vals) WITH ORDINALITY AS v(value, place)
WHERE v.value <> 'NaN'
"""


def upgrade() -> None:
    """Make the tables as the version had them: the first one is the store's own."""
    bind = op.get_bind()
    METADATA.create_all(bind)
    if bind.dialect.name == "postgresql":
        op.execute(MEASURED)


def downgrade() -> None:
    """Nobody goes back: results would be lost."""
    raise NotImplementedError("the first version of the schema has none before it")
