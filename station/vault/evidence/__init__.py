"""A lot's evidence on its way out of the vault."""
