from decimal import Decimal
from typing import Literal

from app.schemas import Id, Schema


class QuoteCreate(Schema):
    item_id: Id
    currency: Literal["CHF", "GBP", "USD"]


class QuoteRead(Schema):
    id: int
    item_id: int
    currency: str
    price: Decimal
