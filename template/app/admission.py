"""Where requests wait for the database, before they hold any part of it."""

from asyncio import Semaphore, timeout
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class Admission:
    """Limits how many requests use the database at once, first come, first served.

    Fewer of them may write: writers can wait for locks, and must leave slots for readers.
    """

    def __init__(self, slots: int, writers: int, seconds: float) -> None:
        self.slots = Semaphore(slots)
        self.writers = Semaphore(writers)
        self.seconds = seconds

    @asynccontextmanager
    async def turn(self, *, reads: bool) -> AsyncIterator[None]:
        """Hold a slot. Raises PoolTimeoutError when none is free in time."""
        async with AsyncExitStack() as held:
            try:
                async with timeout(self.seconds):
                    if not reads:
                        await held.enter_async_context(self.writers)
                    await held.enter_async_context(self.slots)
            except TimeoutError:
                raise PoolTimeoutError("no slot was free in time") from None
            yield
