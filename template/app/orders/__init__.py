"""Purchases of items, one line an item."""
