"""Simulated machines on real wires: sockets, HiSLIP, VXI-11 and pseudo-terminals, for programs of anybody."""
