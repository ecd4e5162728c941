"""How often a password may be guessed: after many wrong ones, the next one has to wait.

Wrong passwords are counted by email, in the table `failed_logins`, whoever sends them and whether
or not there is an account. After FREE_FAILURES in a row, each one doubles the wait before the next,
up to LONGEST_WAIT, so nobody is locked out for good. A right password ends the row.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from weakref import WeakValueDictionary

from anyio import Lock

from app.errors import BusyError, TooManyAttemptsError
from app.models import utcnow

FREE_FAILURES = 10
LONGEST_WAIT = timedelta(minutes=5)
# The count begins again this long after the wait.
FORGOTTEN_AFTER = timedelta(hours=1)
# `app purge` deletes the rows of `failed_logins` this long after the wait.
KEPT_FOR = timedelta(days=1)

MAX_WAITING = 32  # the next one would wait for more than a second
# An email has a lock while a request holds it or waits for it.
turns = WeakValueDictionary[str, Lock]()


@asynccontextmanager
async def turn(email: str) -> AsyncIterator[None]:
    """Let this process check one password of an email at a time.

    Otherwise, all of many concurrent guesses would be checked before the first one counts. Raises
    BusyError when too many wait.
    """
    lock = turns.setdefault(hash_email(email), Lock())
    if lock.statistics().tasks_waiting >= MAX_WAITING:
        raise BusyError("Too many passwords of this email are being checked now; try again.")
    async with lock:
        yield


def refuse_until(retry_at: datetime) -> None:
    """Raise TooManyAttemptsError before this moment."""
    wait = retry_at - utcnow()
    if wait > timedelta():
        detail = "There were too many wrong passwords for this email; try again later."
        raise TooManyAttemptsError(detail, wait)


def wait_after(failures: int) -> timedelta:
    """Return how long the next attempt has to wait after so many wrong ones in a row."""
    if failures <= FREE_FAILURES:
        return timedelta()
    seconds = 2 ** (failures - FREE_FAILURES - 1)
    return timedelta(seconds=min(seconds, LONGEST_WAIT.total_seconds()))


def hash_email(email: str) -> str:
    """Hash an email in lower case, so that addresses without an account are not stored."""
    return sha256(email.lower().encode()).hexdigest()
