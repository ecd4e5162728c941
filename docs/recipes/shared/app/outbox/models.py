from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, PrimaryKey, utcnow


class Message(Base):
    """A job that somebody has asked for and nobody has done."""

    __tablename__ = "outbox"

    id: Mapped[PrimaryKey]
    topic: Mapped[str] = mapped_column(String(50))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(default=utcnow)

    __table_args__ = (Index(None, "due_at", "id"),)
