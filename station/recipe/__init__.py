"""Recipes: what a lot is run by beside the code of its sequence, signed by two persons."""
