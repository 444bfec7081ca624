"""Wafer maps: one model, and what others write it as."""
