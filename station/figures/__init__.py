"""What the time of a cell went into, and what came of it: worked out from journals, the same every time."""
