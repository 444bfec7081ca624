"""The results of many stations in one PostgreSQL database, by the schema of the store."""
