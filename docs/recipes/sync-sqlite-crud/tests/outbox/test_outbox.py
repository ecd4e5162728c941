"""Jobs are neither lost nor done twice, whoever dies in between."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import select

from app.database import Database, Session
from app.models import utcnow
from app.outbox import worker
from app.outbox.models import Message
from app.users.models import User
from tests import database
from tests.client import Client
from tests.samples import ADA, email
from tests.service import environment, settings


def ask_for_jobs(url: str, count: int) -> None:
    """Ask for a credit for each of these new users."""
    db = Database(settings(url))
    with db.sessions.begin() as session:
        users = [User(email=email(), name="Ada", password_hash="") for _ in range(count)]
        session.add_all(users)
        session.flush()
        session.add_all(Message(topic="welcome", payload={"user_id": user.id}) for user in users)
    db.dispose()


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


def is_down_to(url: str, jobs: int) -> bool:
    return count(url, "outbox") <= jobs


def test_who_registers_asks_for_a_credit(client: Client, session: Session) -> None:
    assert client.status("POST", "/users", json=ADA) == 201
    assert client.status("POST", "/users", json=ADA) == 409

    [message] = session.scalars(select(Message))
    assert message.topic == "welcome"


def test_many_workers_do_each_job_once(url: str) -> None:
    ask_for_jobs(url, count=30)

    with running(url), running(url), running(url):
        wait_until(lambda: count(url, "outbox") == 0)

    assert count(url, "credits") == count(url, "(SELECT DISTINCT user_id FROM credits)") == 30


def test_killed_workers_lose_no_job_and_none_is_done_twice(url: str) -> None:
    ask_for_jobs(url, count=12)
    # Each job takes a while, so that nearly every kill is in the middle of one.
    with database.slow(url, "INSERT ON credits", seconds=0.05):
        for left in (9, 6, 3):
            with running(url) as process:
                wait_until(partial(is_down_to, url, left))
                process.kill()
                process.wait()
            assert count(url, "outbox") + count(url, "credits") == 12

        with running(url):
            wait_until(lambda: count(url, "outbox") == 0)

    assert count(url, "credits") == count(url, "(SELECT DISTINCT user_id FROM credits)") == 12


def test_a_job_that_fails_waits_and_delays_no_other(url: str) -> None:
    ask_for_jobs(url, count=2)
    broken = "UPDATE outbox SET payload = '{}' WHERE id = (SELECT min(id) FROM outbox)"
    database.execute(url, broken)
    db = Database(settings(url))

    assert [worker.do_next(db) for _ in range(3)] == [True, True, False]

    with db.reading_sessions() as session:
        [message] = session.scalars(select(Message))
    db.dispose()
    assert message.attempts == 1
    assert message.due_at > utcnow()
    assert count(url, "credits") == 1
