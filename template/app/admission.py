"""Where requests wait for the database, before they hold any part of it."""

from asyncio import Semaphore, timeout
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter

from opentelemetry.metrics import get_meter
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# Records nothing unless `app.telemetry` exports it.
wait_time = get_meter("app").create_histogram(
    "db.client.connection.wait_time",
    unit="s",
    explicit_bucket_boundaries_advisory=[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
)


class Admission:
    """Limits how many requests use the database at once, first come, first served.

    Fewer of them may write: writers can wait for locks, and must leave slots for readers.
    """

    def __init__(self, slots: int, writers: int, seconds: float) -> None:
        self.slots = Semaphore(slots)
        self.writers = Semaphore(writers)
        self.seconds = seconds
        self.waiting = 0

    @asynccontextmanager
    async def turn(self, *, reads: bool) -> AsyncIterator[None]:
        """Hold a slot. Raises PoolTimeoutError when none is free in time."""
        async with AsyncExitStack() as held:
            self.waiting += 1
            started = perf_counter()
            try:
                async with timeout(self.seconds):
                    if not reads:
                        await held.enter_async_context(self.writers)
                    await held.enter_async_context(self.slots)
            except TimeoutError:
                raise PoolTimeoutError("no slot was free in time") from None
            finally:
                self.waiting -= 1
                wait_time.record(perf_counter() - started)
            yield
