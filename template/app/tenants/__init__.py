"""Customers of the service, each with rows that no other sees."""
