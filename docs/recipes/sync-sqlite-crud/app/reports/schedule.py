"""Makes the report of each day, in whichever process comes first.

Run `uv run python -m app.reports.schedule` on each machine.
"""

import asyncio
import logging

from fastapi.concurrency import run_in_threadpool
from sqlalchemy import func, select

from app.database import Database, Session
from app.items.models import Item
from app.models import utcnow
from app.reports.models import Report
from app.settings import DatabaseSettings, load

logger = logging.getLogger(__name__)

PAUSE = 60.0  # seconds between two looks


async def make_report(database: Database) -> bool:
    """Make the report of today, and tell whether this process did.

    The transaction begins with SQLite's write lock, so that processes look one after the other.
    """
    async with database.transaction() as session:
        return await run_in_threadpool(add_report, session)


def add_report(session: Session) -> bool:
    now = utcnow()
    if session.get(Report, now.date()):
        return False
    items = session.scalar(select(func.count()).select_from(Item))
    session.add(Report(day=now.date(), items=items, made_at=now))
    return True


async def make_reports() -> None:
    database = Database(load(DatabaseSettings))
    while True:
        try:
            await make_report(database)
        except Exception:
            logger.exception("There is no report yet")
        await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    asyncio.run(make_reports())
