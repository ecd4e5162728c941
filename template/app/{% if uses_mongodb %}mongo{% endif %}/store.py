"""What the commands ask of this store."""

from app.mongo.development import in_development
from app.mongo.settings import Settings

__all__ = ["Settings", "in_development"]
