"""Certificates: who issues them, what they say, and which do not count any more."""
