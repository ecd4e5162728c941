"""Jobs to be done after the transaction that asks for them has committed."""
