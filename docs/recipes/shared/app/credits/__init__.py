"""Credits: what users have been given."""
