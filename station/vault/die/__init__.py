"""One die from its admission to its lock: the protocol, the channel, and what the die is given."""
