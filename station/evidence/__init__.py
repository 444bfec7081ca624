"""What a lot leaves for its customer and for auditors: one signed bundle, and how it is checked offline."""
