"""Quotes: prices of items in other currencies, by the rates of another service."""
