from decimal import ROUND_HALF_UP, Decimal

from fastapi import APIRouter

from app.database import Session
from app.items.repository import Items
from app.openapi import problems
from app.quotes.models import Quote
from app.quotes.rates import CurrentRate
from app.quotes.schemas import QuoteCreate, QuoteRead

router = APIRouter(prefix="/quotes", tags=["quotes"], responses=problems(503))

CENT = Decimal("0.01")


# The order of the parameters is the order of the work: the rate comes before the session.
@router.post(
    "", status_code=201, response_model=QuoteRead, responses=problems(401, 404, 409, 413, 422)
)
async def create_quote(
    data: QuoteCreate, rate: CurrentRate, items: Items, session: Session
) -> Quote:
    """Fix the price of an item in another currency."""
    item = await items.get(data.item_id)
    price = (item.price * rate).quantize(CENT, ROUND_HALF_UP)
    quote = Quote(item_id=item.id, currency=data.currency, price=price)
    session.add(quote)
    await session.flush()
    return quote
