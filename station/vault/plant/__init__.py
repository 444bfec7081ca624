"""The registry of a plant, shared by several vaults."""
