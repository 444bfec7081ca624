"""STDF V4: the datalog that every customer reads."""
