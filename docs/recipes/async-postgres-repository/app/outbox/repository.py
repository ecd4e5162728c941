from collections.abc import Mapping
from typing import Annotated, Any

from sqlalchemy import select

from app.database import Session, injected
from app.models import utcnow
from app.outbox.models import Message


class OutboxRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    async def add(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Ask for a job. It exists if, and only if, this transaction commits."""
        self.session.add(Message(topic=topic, payload=dict(payload)))
        await self.session.flush()

    async def take(self) -> Message | None:
        """Lock the next message that is due and that no other worker has locked."""
        statement = select(Message).where(Message.due_at <= utcnow())
        statement = statement.order_by(Message.due_at, Message.id).limit(1)
        message: Message | None = await self.session.scalar(
            statement.with_for_update(skip_locked=True)
        )
        return message


Outbox = Annotated[OutboxRepository, injected(OutboxRepository)]
