"""Releases of hardbin itself: signed by two persons, installed beside one another, changed between lots."""
