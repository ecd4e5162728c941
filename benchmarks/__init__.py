"""How fast services are: `uv run hooks bench`, and the scripts that README.md lists."""
