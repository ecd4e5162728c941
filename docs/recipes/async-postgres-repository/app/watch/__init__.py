"""Watching items: a websocket that tells their stock."""
