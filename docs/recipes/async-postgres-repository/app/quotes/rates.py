"""The client of the service that knows exchange rates."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated

import httpx2
from fastapi import Depends, Request
from pydantic import BaseModel, Field, ValidationError

from app.errors import BusyError
from app.quotes.schemas import QuoteCreate
from app.security import DetachedUser
from app.settings import Settings


class Rate(BaseModel):
    rate: Annotated[Decimal, Field(gt=0, lt=10_000)]


@asynccontextmanager
async def rates_client(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """One client per process: it keeps connections open, and bounds how many there are."""
    async with httpx2.AsyncClient(
        base_url=settings.rates_url,
        timeout=httpx2.Timeout(5, pool=1),
        limits=httpx2.Limits(max_connections=20),
    ) as client:
        yield client


async def get_rate(data: QuoteCreate, _user: DetachedUser, request: Request) -> Decimal:
    """Ask for the rate, for a user and before the request has a session.

    Raises BusyError when the other service cannot be reached or answers nonsense.
    """
    client: httpx2.AsyncClient = request.app.state.rates
    try:
        response = await client.get(f"/rates/{data.currency}")
        return Rate.model_validate_json(response.raise_for_status().content).rate
    except (httpx2.HTTPError, ValidationError) as error:
        raise BusyError("The rates cannot be reached now; try again.") from error


CurrentRate = Annotated[Decimal, Depends(get_rate)]
