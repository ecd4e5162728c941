"""People: registration, tokens, profiles."""
