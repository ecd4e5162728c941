"""Requests that a client may repeat: the same `Idempotency-Key` gets the same answer."""
