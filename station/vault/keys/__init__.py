"""The key store: a process of its own behind one seam. Keys are used by name and never leave it."""
