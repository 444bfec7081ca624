"""Simulated GPIB adapters, with simulated instruments on their bus."""
