"""What becomes of devices that passed, after the measuring: outliers, bad neighbourhoods, limits of lots."""
