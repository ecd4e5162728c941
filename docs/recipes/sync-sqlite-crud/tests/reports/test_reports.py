"""However many processes there are, a day has one report."""

import asyncio
import subprocess
import sys
import time

import pytest
from sqlalchemy.exc import IntegrityError

from app.database import Database
from app.reports.schedule import make_report
from tests import database
from tests.service import environment, settings

REPORTS = "SELECT count(*) FROM reports"


async def make_reports(url: str, processes: int) -> list[bool]:
    """Make a report in as many processes at once, as far as the database can tell."""
    databases = [Database(settings(url)) for _ in range(processes)]
    try:
        return await asyncio.gather(*map(make_report, databases))
    finally:
        for each in databases:
            each.dispose()


def test_one_of_many_makes_it(url: str) -> None:
    with database.slow(url, "INSERT ON reports", seconds=0.1):
        made = asyncio.run(make_reports(url, processes=8))

    assert made.count(True) == 1
    assert asyncio.run(make_reports(url, processes=2)) == [False, False]
    assert database.execute(url, REPORTS)[0][0] == 1


def test_one_that_fails_leaves_it_to_the_next(url: str) -> None:
    with database.commits_fail(url, "INSERT ON reports"), pytest.raises(IntegrityError):
        asyncio.run(make_reports(url, processes=1))
    assert database.execute(url, REPORTS)[0][0] == 0

    assert asyncio.run(make_reports(url, processes=1)) == [True]


def test_the_command_makes_it(url: str) -> None:
    command = [sys.executable, "-m", "app.reports.schedule"]
    with subprocess.Popen(command, env=environment(DATABASE_URL=url)) as process:
        for _ in range(1200):
            if database.execute(url, REPORTS)[0][0]:
                break
            time.sleep(0.05)
        process.kill()
    assert database.execute(url, REPORTS)[0][0] == 1
