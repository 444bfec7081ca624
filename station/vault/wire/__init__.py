"""Generated from `station/vault/floor.proto`; a test fails when they differ."""
