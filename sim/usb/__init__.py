"""Simulated USB devices below PyUSB."""
