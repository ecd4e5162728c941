"""Jobs are neither lost nor done twice, whoever dies in between."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from app.database import Database, Session
from app.outbox import worker
from app.outbox.models import Message
from tests import database
from tests.client import Client
from tests.samples import ADA
from tests.service import environment, settings


def ask_for_jobs(url: str, count: int) -> None:
    """Ask for a credit for each of these new users."""
    database.execute(
        url,
        "INSERT INTO users (email, name, password_hash, is_active, is_admin, token_version,"
        " created_at, updated_at)"
        " SELECT n || '@example.com', 'Ada', '', true, false, 1, now(), now()"
        f" FROM generate_series(1, {count}) AS n",
    )
    database.execute(
        url,
        "INSERT INTO outbox (topic, payload, attempts, due_at)"
        " SELECT 'welcome', json_build_object('user_id', id), 0, now() FROM users",
    )


@contextmanager
def running(url: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "app.outbox.worker"]
    process = subprocess.Popen(command, env=environment(DATABASE_URL=url))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("this has not happened within a minute")


def count(url: str, what: str) -> int:
    [(number,)] = database.execute(url, f"SELECT count(*) FROM {what}")
    return int(number)


async def test_who_registers_asks_for_a_credit(client: Client, session: Session) -> None:
    assert await client.status("POST", "/users", json=ADA) == 201
    assert await client.status("POST", "/users", json=ADA) == 409

    [message] = await session.scalars(select(Message))
    assert message.topic == "welcome"


def test_a_killed_worker_loses_no_job_and_none_is_done_twice(url: str) -> None:
    ask_for_jobs(url, count=1)
    in_the_middle = "pg_stat_activity WHERE datname = current_database() AND query LIKE 'INSERT%'"
    with database.slow(url, "INSERT ON credits", seconds=2), running(url) as process:
        wait_until(lambda: count(url, in_the_middle) == 1)
        process.kill()
        process.wait()
        wait_until(lambda: count(url, in_the_middle) == 0)
        assert count(url, "credits") == 0
    assert count(url, "outbox") == 1

    with running(url), running(url):
        wait_until(lambda: count(url, "outbox") == 0)

    assert count(url, "credits") == 1


def test_many_workers_do_each_job_once(url: str) -> None:
    ask_for_jobs(url, count=30)

    with running(url), running(url), running(url):
        wait_until(lambda: count(url, "outbox") == 0)

    assert count(url, "credits") == count(url, "(SELECT DISTINCT user_id FROM credits)") == 30


def test_a_job_that_fails_waits_and_delays_no_other(url: str) -> None:
    ask_for_jobs(url, count=2)
    database.execute(
        url,
        "UPDATE outbox SET payload = '{}', due_at = now() - interval '1 hour'"
        " WHERE id = (SELECT min(id) FROM outbox)",
    )

    async def do_three() -> list[bool]:
        db = Database(settings(url))
        done = [await worker.do_next(db) for _ in range(3)]
        await db.dispose()
        return done

    assert asyncio.run(do_three()) == [True, True, False]
    assert count(url, "credits") == 1
    assert count(url, "outbox WHERE attempts = 1 AND due_at > now()") == 1
