"""Makes the report of each day, in whichever process comes first.

Run `uv run python -m app.reports.schedule` on each machine.
"""

import asyncio
import logging

from sqlalchemy import func, select, text

from app.database import Database
from app.items.models import Item
from app.models import utcnow
from app.reports.models import Report
from app.settings import DatabaseSettings, load

logger = logging.getLogger(__name__)

PAUSE = 60.0  # seconds between two looks
# Any number that no other job of this database has.
LOCK = text("SELECT pg_try_advisory_xact_lock(7001)")


async def make_report(database: Database) -> bool:
    """Make the report of today, and tell whether this process did.

    The lock ends with the transaction, also when the process is killed in it. Whoever does not get
    it goes on: somebody else is at work.
    """
    async with database.transaction() as session:
        if not await session.scalar(LOCK):
            return False
        now = utcnow()
        if await session.get(Report, now.date()):
            return False
        items = await session.scalar(select(func.count()).select_from(Item))
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
