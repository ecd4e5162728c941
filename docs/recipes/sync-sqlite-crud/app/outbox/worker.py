"""Does the jobs of the outbox: `uv run python -m app.outbox.worker`."""

import logging
import time
from datetime import timedelta

from app.database import Database
from app.models import utcnow
from app.outbox import crud as outbox
from app.outbox.jobs import JOBS
from app.outbox.models import Message
from app.settings import DatabaseSettings, load

logger = logging.getLogger(__name__)

PAUSE = 1.0  # seconds, when there is nothing to do
LONGEST_WAIT = timedelta(hours=1)


def do_next(database: Database) -> bool:
    """Do one job, and tell whether there was one.

    The job and the removal of its message are one transaction: a worker that dies has done neither.
    Nobody else writes meanwhile, so a job must be short.
    """
    failed = None
    try:
        with database.sessions.begin() as session:
            message = outbox.take(session)
            if message is None:
                return False
            failed = message.id
            JOBS[message.topic](session, message.payload)
            session.delete(message)
    except Exception:
        if failed is None:  # somebody else has written for too long
            raise
        logger.exception("Message %d has failed", failed)
        postpone(database, failed)
    return True


def postpone(database: Database, message_id: int) -> None:
    """Try it again later, twice as late each time, so that others are done first."""
    with database.sessions.begin() as session:
        message = session.get(Message, message_id)
        if message is not None:
            message.attempts += 1
            wait = timedelta(seconds=2 ** min(message.attempts, 12))
            message.due_at = utcnow() + min(wait, LONGEST_WAIT)


def work() -> None:
    database = Database(load(DatabaseSettings))
    while True:
        try:
            is_idle = not do_next(database)
        except Exception:
            logger.exception("The outbox cannot be read")
            is_idle = True
        if is_idle:
            time.sleep(PAUSE)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    work()
