"""A plant's stations together: what they tell is collected into one database, and shown on one page."""
