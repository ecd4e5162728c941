"""Does the jobs of the outbox: `uv run python -m app.outbox.worker`, in any number of processes."""

import asyncio
import logging
from datetime import timedelta

from app.database import Database
from app.models import utcnow
from app.outbox.jobs import JOBS
from app.outbox.models import Message
from app.outbox.repository import OutboxRepository
from app.settings import DatabaseSettings, load

logger = logging.getLogger(__name__)

PAUSE = 1.0  # seconds, when there is nothing to do
LONGEST_WAIT = timedelta(hours=1)


async def do_next(database: Database) -> bool:
    """Do one job, and tell whether there was one.

    The job and the removal of its message are one transaction: a worker that dies has done neither.
    """
    failed = None
    try:
        async with database.transaction() as session:
            message = await OutboxRepository(session).take()
            if message is None:
                return False
            failed = message.id
            await JOBS[message.topic](session, message.payload)
            await session.delete(message)
    except Exception:
        if failed is None:  # the database cannot be reached
            raise
        logger.exception("Message %d has failed", failed)
        await postpone(database, failed)
    return True


async def postpone(database: Database, message_id: int) -> None:
    """Try it again later, twice as late each time, so that others are done first."""
    async with database.transaction() as session:
        message = await session.get(Message, message_id, with_for_update=True)
        if message is not None:
            message.attempts += 1
            wait = timedelta(seconds=2 ** min(message.attempts, 12))
            message.due_at = utcnow() + min(wait, LONGEST_WAIT)


async def work() -> None:
    database = Database(load(DatabaseSettings))
    while True:
        try:
            is_idle = not await do_next(database)
        except Exception:
            logger.exception("The outbox cannot be read")
            is_idle = True
        if is_idle:
            await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(work())
