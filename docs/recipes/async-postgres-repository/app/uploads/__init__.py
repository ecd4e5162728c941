"""Uploads: files that are larger than a body may be elsewhere."""
