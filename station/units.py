"""Multipliers, so that a limit reads as it is spoken: `9 * mA`."""

V = A = s = 1.0
mV = mA = ms = 1e-3
uV = uA = us = 1e-6
nA = ns = 1e-9
pA = 1e-12
