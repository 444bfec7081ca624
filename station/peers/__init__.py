"""hardbin beside other test executives on the same trivial sequence, each in a process of its own."""
