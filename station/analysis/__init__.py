"""Statistics over what was measured; nothing here decides a bin by itself."""
