"""Nobody guesses a password by trying many (OWASP ASVS 5.0, 6.3.1)."""

import asyncio
from collections import Counter
from datetime import timedelta
from functools import partial

import httpx2
import pytest

from app.attempts import (
    FREE_FAILURES,
    LONGEST_WAIT,
    MAX_WAITING,
    hash_email,
    refuse_until,
    turn,
    turns,
    wait_after,
)
from app.errors import BusyError, TooManyAttemptsError
from app.models import utcnow
from tests import database
from tests.samples import PASSWORD, credentials, email
from tests.service import Service, at_once, statuses

WRONG = "a guess"
# After one more, the next password waits longer than a test takes.
MANY = FREE_FAILURES + 6


@pytest.fixture
def visitor(service: Service) -> httpx2.Client:
    return service.client()


@pytest.fixture(params=["known", "unknown", "deactivated"])
def address(request: pytest.FixtureRequest, service: Service) -> str:
    """Return an email; no answer may show whose it is."""
    address = email()
    if request.param != "unknown":
        user = service.sign_up(address)
        if request.param == "deactivated":
            user.delete("/users/me")
    return address


def log_in(client: httpx2.Client, address: str, password: str = PASSWORD) -> httpx2.Response:
    return client.post("/auth/token", data=credentials(address, password))


def guess(client: httpx2.Client, address: str) -> int:
    return log_in(client, address, WRONG).status_code


def counted(service: Service, address: str) -> int:
    statement = "SELECT failures FROM failed_logins WHERE email_hash = :hash"
    rows = database.execute(service.database_url, statement, hash=hash_email(address))
    return sum(failures for (failures,) in rows)


def guess_often(service: Service, address: str, failures: int = MANY) -> None:
    """Guess once, and count it as many guesses, because each keeps a core busy."""
    assert guess(service.client(), address) == 401
    statement = f"UPDATE failed_logins SET failures = {failures} WHERE email_hash = :hash"
    database.execute(service.database_url, statement, hash=hash_email(address))


def test_the_wait_doubles_up_to_a_limit() -> None:
    waits = [wait_after(number).total_seconds() for number in range(1, FREE_FAILURES + 12)]

    assert waits == [0] * FREE_FAILURES + [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert wait_after(10**5) == LONGEST_WAIT


@pytest.mark.parametrize(("milliseconds", "seconds"), [(1, "1"), (1000, "1"), (1001, "2")])
def test_retry_after_is_never_too_early(milliseconds: int, seconds: str) -> None:
    error = TooManyAttemptsError("", timedelta(milliseconds=milliseconds))

    assert error.headers == {"Retry-After": seconds}


def test_attempts_are_refused_until_the_wait_is_over() -> None:
    refuse_until(utcnow())

    with pytest.raises(TooManyAttemptsError):
        refuse_until(utcnow() + LONGEST_WAIT)


def test_the_first_wrong_passwords_need_not_wait(
    service: Service, visitor: httpx2.Client, address: str
) -> None:
    for number in range(2):
        assert counted(service, address) == number
        assert guess(visitor, address) == 401

    guess_often(service, address, FREE_FAILURES)
    assert guess(visitor, address) == 401


def test_after_many_wrong_passwords_the_next_one_has_to_wait(
    service: Service, visitor: httpx2.Client, address: str
) -> None:
    guess_often(service, address)
    assert guess(visitor, address) == 401

    for written in (address, address.upper()):
        for password in (WRONG, PASSWORD):
            response = log_in(visitor, written, password)
            assert response.status_code == 429
            assert response.headers["Content-Type"] == "application/problem+json"
            assert 1 <= int(response.headers["Retry-After"]) <= wait_after(MANY + 1).total_seconds()
            detail = "There were too many wrong passwords for this email; try again later."
            assert response.json()["detail"] == detail

    # These do not make the wait longer.
    assert counted(service, address) == MANY + 1
    assert service.sign_up().get("/users/me").status_code == 200  # others need not wait


def test_a_right_password_ends_the_count(service: Service, visitor: httpx2.Client) -> None:
    address = email()
    service.sign_up(address)
    for _ in range(2):
        guess_often(service, address, FREE_FAILURES)
        assert log_in(visitor, address).status_code == 200
        assert counted(service, address) == 0


def test_a_stolen_token_gives_no_more_guesses(service: Service) -> None:
    address = email()
    thief = service.sign_up(address)
    change = {"email": email(), "current_password": WRONG}
    assert thief.patch("/users/me", json=change).status_code == 403
    assert counted(service, address) == 1
    guess_often(service, address)
    assert guess(service.client(), address) == 401

    change["current_password"] = PASSWORD
    assert thief.patch("/users/me", json=change).status_code == 429
    # What needs no password does not wait.
    assert thief.patch("/users/me", json={"name": "Mallory"}).status_code == 200


def test_emails_without_an_account_are_not_stored(service: Service, visitor: httpx2.Client) -> None:
    address = email()
    guess(visitor, address)

    rows = database.execute(service.database_url, "SELECT * FROM failed_logins")

    assert hash_email(address) in str(rows)
    assert address not in str(rows)


def test_guesses_at_once_are_counted_one_by_one(service: Service, visitor: httpx2.Client) -> None:
    address = email()
    attempt = partial(log_in, visitor, address, WRONG)

    # All arrive before the first ones are counted.
    with database.slow(service.database_url, "INSERT ON failed_logins", seconds=0.1):
        answers = statuses(at_once([attempt] * 3 * FREE_FAILURES))

    # Some more pass when they take long, but six more would have to take half a minute.
    assert answers.keys() == {401, 429}
    assert FREE_FAILURES < answers[401] < FREE_FAILURES + 6
    assert counted(service, address) == answers[401]


def test_all_processes_share_the_count(service: Service, short_timeouts: Service) -> None:
    address = email()
    attempts = [
        partial(log_in, process.client(), address, WRONG)
        for process in [service, short_timeouts] * (FREE_FAILURES // 2)
    ]

    # Each counts while the other one does.
    with database.slow(service.database_url, "INSERT ON failed_logins", seconds=0.05):
        answers = statuses(at_once(attempts))

    # The second process has a short timeout.
    assert answers.keys() <= {401, 503}
    assert counted(service, address) == answers[401]


def test_right_passwords_at_once_need_not_wait(service: Service, visitor: httpx2.Client) -> None:
    address = email()
    service.sign_up(address)

    answers = at_once([partial(log_in, visitor, address)] * 2 * FREE_FAILURES)

    assert statuses(answers) == {200: 2 * FREE_FAILURES}


def test_attempts_of_an_email_wait_in_a_bounded_queue() -> None:
    outcomes = Counter[str]()

    async def attempt(address: str) -> None:
        try:
            async with turn(address):
                await asyncio.sleep(0)
        except BusyError:
            outcomes["refused"] += 1
        else:
            outcomes[address] += 1

    async def many_attempts() -> None:
        addresses = ["ada@example.com"] * (1 + MAX_WAITING + 7) + ["bob@example.com"]
        await asyncio.gather(*(attempt(address) for address in addresses))

    asyncio.run(many_attempts())

    assert outcomes == {"ada@example.com": 1 + MAX_WAITING, "bob@example.com": 1, "refused": 7}
    assert not turns  # nothing stays in memory
