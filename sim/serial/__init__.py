"""Simulated serial lines: `hardbin://<end>` below pySerial."""
