"""What is done for each topic, in the transaction that also removes the message."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from app.credits.models import Credit
from app.database import Session

Job = Callable[[Session, Mapping[str, Any]], None]


def welcome(session: Session, payload: Mapping[str, Any]) -> None:
    session.add(Credit(user_id=payload["user_id"], amount=Decimal(5)))
    session.flush()


JOBS: dict[str, Job] = {"welcome": welcome}
