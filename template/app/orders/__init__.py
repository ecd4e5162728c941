"""Purchases of items, one line per item."""
