"""Simulated machines on TCP ports: they plug in at the event loop, below asyncio's streams."""
