from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from app.database import Session
from app.models import utcnow
from app.outbox.models import Message


def add(session: Session, topic: str, payload: Mapping[str, Any]) -> None:
    """Ask for a job. It exists if, and only if, this transaction commits."""
    session.add(Message(topic=topic, payload=dict(payload)))
    session.flush()


def take(session: Session) -> Message | None:
    """Return the next message that is due. The transaction is the only one that writes."""
    statement = select(Message).where(Message.due_at <= utcnow())
    return session.scalar(statement.order_by(Message.due_at, Message.id).limit(1))
