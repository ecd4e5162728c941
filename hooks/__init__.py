"""What runs around the template and never inside a user's copy of it."""
