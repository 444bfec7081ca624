"""Key ceremonies: what persons do to keys together, step by step, with a transcript of it."""
