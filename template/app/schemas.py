"""The vocabulary of the API's edge: what is out of bounds is refused with 422 here."""

import re
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

T = TypeVar("T")


class Schema(BaseModel):
    """A body. Fields that it does not name are refused, and objects are read by attribute."""

    model_config = ConfigDict(extra="forbid", from_attributes=True, hide_input_in_errors=True)


def drop_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


class PatchSchema(Schema):
    """The body of a PATCH: a field that is left out stays as it is.

    Read one with `model_dump(exclude_unset=True)`.
    """

    model_config = ConfigDict(json_schema_extra=drop_defaults)


# Default of a field that a PATCH may leave out but not set to null.
OMITTED: Any = None

# Text that every database can store: no NUL. Lone surrogates are refused by pydantic itself,
# as soon as there is a pattern to match.
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]

# What browsers accept as an address, plus a dot in the domain. It is stored in lower case, which
# is the same in every database because only ASCII is left.
# https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
Email = Annotated[
    str,
    Field(
        pattern=rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(\.{_LABEL})+$",
        max_length=254,
        examples=["ada@example.com"],
    ),
    AfterValidator(str.lower),
]

# A URI is ASCII (RFC 3986).
WebAddress = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9\[][!-~]*$", max_length=500)]


def refuse_text(value: Any) -> Any:
    """Refuse what pydantic would read as an integer and JSON Schema would not, such as `"1"`."""
    if isinstance(value, str | bool):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


# Ids and counts. In a path or a query they are text, in a body they are numbers.
MAX_INT = 2**31 - 1

# Less than 2**63: a float, which FastAPI makes of it for OpenAPI, has this number exactly.
Id = Annotated[int, Field(ge=1, lt=2**63)]
BodyId = Annotated[Id, BeforeValidator(refuse_text)]
Stock = Annotated[int, Field(ge=0, le=MAX_INT), BeforeValidator(refuse_text)]
Quantity = Annotated[int, Field(ge=1, le=1000), BeforeValidator(refuse_text)]

# Money: exact on the way in, as a number or a string, and a string with two decimals on the way
# out, because a JSON number is a binary fraction to most who read it.
_PRICE = r"^[0-9]{1,8}(\.[0-9]{1,2})?$"


def plain_decimal(value: Any) -> Any:
    """Refuse text that Decimal would read and OpenAPI cannot describe, such as `1e3` or ` 1_0 `."""
    if isinstance(value, str) and not re.fullmatch(_PRICE, value, re.ASCII):
        raise ValueError("must be a number with at most 8 digits before the point and 2 after it")
    return value


def to_cents(value: Decimal) -> Decimal:
    """Give every amount two decimals, and zero no sign."""
    return abs(value.quantize(Decimal("0.01")))


Amount = Annotated[
    Decimal,
    PlainSerializer(lambda amount: f"{amount:.2f}", return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "pattern": r"^[0-9]+\.[0-9]{2}$", "examples": ["12.50"]},
        mode="serialization",
    ),
]
Price = Annotated[
    Amount,
    Field(ge=0, max_digits=10, decimal_places=2),
    BeforeValidator(plain_decimal),
    AfterValidator(to_cents),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 99999999.99, "multipleOf": 0.01},
                {"type": "string", "pattern": _PRICE},
            ],
            "examples": ["12.50"],
        },
        mode="validation",
    ),
]


class OffsetPage(Schema, Generic[T]):
    """Rows `offset` to `offset + limit` of `total`."""

    items: list[T]
    total: int
    limit: int
    offset: int


class CursorPage(Schema, Generic[T]):
    """Some rows, and the cursor that asks for those behind them; null on the last page."""

    items: list[T]
    next_cursor: str | None
