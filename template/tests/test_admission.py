"""The order in which requests are admitted to the database."""

import asyncio

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.requests import HTTPConnection

from app.admission import Admission
from app.database import get_session


class Requests:
    """Requests that hold their slot until they are cancelled."""

    def __init__(self, slots: int, writers: int) -> None:
        self.admission = Admission(slots=slots, writers=writers, seconds=60)
        self.admitted: list[str] = []

    async def start(self, *names: str) -> list[asyncio.Task[None]]:
        """Start requests, which read if their name says so, and let them get as far as they can."""
        tasks = [asyncio.create_task(self.hold(name)) for name in names]
        await settle()
        return tasks

    async def hold(self, name: str) -> None:
        async with self.admission.turn(reads=name.startswith("reader")):
            self.admitted.append(name)
            await asyncio.Event().wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("names", "admitted"),
    [
        (["writer 1", "writer 2", "writer 3", "reader"], ["writer 1", "writer 2", "reader"]),
        (["reader 1", "reader 2", "reader 3", "reader 4"], ["reader 1", "reader 2", "reader 3"]),
    ],
    ids=["writers leave a slot to readers", "readers take every slot"],
)
def test_slots(names: list[str], admitted: list[str]) -> None:
    async def scenario() -> None:
        requests = Requests(slots=3, writers=2)
        await requests.start(*names)

        assert requests.admitted == admitted

    asyncio.run(scenario())


def test_requests_are_admitted_in_the_order_of_their_arrival() -> None:
    async def scenario() -> None:
        requests = Requests(slots=1, writers=1)
        for task in await requests.start("first", "second", "third"):
            task.cancel()
            await settle()

        assert requests.admitted == ["first", "second", "third"]

    asyncio.run(scenario())


def test_a_request_that_stops_waiting_holds_no_slot() -> None:
    async def scenario() -> None:
        requests = Requests(slots=1, writers=1)
        first, second, _third = await requests.start("first", "second", "third")
        second.cancel()
        first.cancel()
        await settle()

        assert requests.admitted == ["first", "third"]

    asyncio.run(scenario())


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "writes"])
def test_waiting_has_a_timeout(reads: bool) -> None:
    async def scenario() -> None:
        admission = Admission(slots=1, writers=1, seconds=0.01)
        async with admission.turn(reads=True):
            with pytest.raises(PoolTimeoutError):
                async with admission.turn(reads=reads):
                    pytest.fail("was admitted")
        # The request that timed out holds no slot.
        async with admission.turn(reads=False):
            pass

    asyncio.run(scenario())


def test_a_websocket_cannot_have_the_session_of_a_request() -> None:
    async def scenario() -> None:
        with pytest.raises(TypeError, match=r"database\.transaction"):
            await anext(get_session(HTTPConnection({"type": "websocket"})))

    asyncio.run(scenario())
