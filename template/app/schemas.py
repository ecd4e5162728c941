"""The vocabulary of the API's edge: types that refuse with 422 what is out of bounds."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import (
    MISSING,
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails, PydanticCustomError

T = TypeVar("T")


class Schema(BaseModel):
    """A body. Refuses unknown fields, and reads objects by attribute."""

    model_config = ConfigDict(extra="forbid", from_attributes=True, hide_input_in_errors=True)


def drop_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


class PatchSchema(Schema):
    """The body of a PATCH: `model_dump()` has only the fields that the client sent."""

    model_config = ConfigDict(json_schema_extra=drop_defaults)

    def model_dump(self, **options: Any) -> dict[str, Any]:
        return super().model_dump(**{"exclude_unset": True, **options})


# The default of a field that a PATCH may leave out but not set to null.
OMITTED: Any = MISSING

# Text that every database can store: no NUL. pydantic itself refuses lone surrogates wherever
# there is a pattern.
_TEXT = r"^[^\x00]*$"
Text = Annotated[str, Field(pattern=_TEXT)]

# What browsers accept as an address, plus a dot in the domain. Stored in lower case. It is ASCII,
# which every database folds alike.
# https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(\.{_LABEL})+$"
Email = Annotated[
    str,
    Field(pattern=_EMAIL, max_length=254, examples=["ada@example.com"]),
    AfterValidator(str.lower),
]

# A URI is ASCII (RFC 3986).
_WEB_ADDRESS = r"^https?://[A-Za-z0-9\[][!-~]*$"
WebAddress = Annotated[
    str,
    Field(pattern=_WEB_ADDRESS, max_length=500, examples=["https://example.com"]),
]

# An `Idempotency-Key`, with quotes or without: it is compared as it is. The blanks around a header
# are not part of it.
_KEY = r"^[!-~]([ -~]*[!-~])?$"
Key = Annotated[
    str,
    Field(pattern=_KEY, max_length=255, examples=["6f1f2b36-0f4c-4b52-9d3c-4f6a1c2f7f10"]),
]

# Messages for people, in place of the patterns.
WORDS = {
    _TEXT: "String should not contain NUL",
    _EMAIL: "String should be an email address, such as ada@example.com",
    _WEB_ADDRESS: "String should be an address, such as https://example.com/ada.png",
    _KEY: "String should be of ASCII characters that can be printed, such as a UUID",
}


def in_words(error: ErrorDetails) -> str:
    """Describe an error without its regular expression."""
    if error["type"] == "string_pattern_mismatch":
        return WORDS.get(error["ctx"]["pattern"], "String should have the form that is documented")
    return error["msg"].removeprefix("Value error, ")


def refuse_text(value: Any) -> Any:
    """Refuse strings and booleans that pydantic would coerce to an integer."""
    if isinstance(value, str | bool):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


def refuse_spellings(value: Any) -> Any:
    """Refuse text that is an integer to Python but not to OpenAPI, such as `+1` or `1_0`."""
    if isinstance(value, str) and not re.fullmatch(r"0|-?[1-9][0-9]*", value):
        raise PydanticCustomError("int_parsing", "Input should be an integer, in plain digits")
    return value


def only_true_or_false(value: Any) -> Any:
    """Refuse other words that pydantic would coerce to a boolean, such as `on` or `1`."""
    if isinstance(value, str) and value not in {"true", "false"}:
        raise PydanticCustomError("bool_parsing", "Input should be true or false")
    return value


def spelled(pattern: str, example: str) -> BeforeValidator:
    """Refuse what pydantic would accept but OpenAPI's format does not have, such as a number."""

    def refuse_others(value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"must be text, such as {example}")
        return value

    return BeforeValidator(refuse_others)


# Ids and counts: text in a path or a query, numbers in a body.
MAX_INT = 2**31 - 1
Digits = BeforeValidator(refuse_spellings)
# Write it after `Field(…)`: the document would lack the bounds otherwise.
Whole = BeforeValidator(refuse_text)

# `lt=2**63` and not `le=2**63 - 1`: FastAPI makes it a float, which has 2**63 exactly.
Id = Annotated[int, Field(ge=1, lt=2**63), Digits]
BodyId = Annotated[Id, Whole]
Stock = Annotated[int, Field(ge=0, le=MAX_INT), Whole]
Integer = Annotated[int, Field(ge=-MAX_INT - 1, le=MAX_INT), Whole]
Quantity = Annotated[int, Field(ge=1, le=1000), Whole]

# A boolean in a query; in a body, use pydantic's StrictBool.
Flag = Annotated[bool, BeforeValidator(only_true_or_false)]


def in_utc(value: datetime) -> datetime:
    """Refuse the first and last hours of the calendar, which not every zone can express."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


_DATE = r"\d{4}-\d{2}-\d{2}"
_TIME = r"\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})"
Date = Annotated[date, spelled(_DATE, "2026-11-21")]
Moment = Annotated[
    AwareDatetime,
    spelled(f"{_DATE}[T ]{_TIME}", "2026-11-21T12:00:00Z"),
    AfterValidator(in_utc),
]
Uuid = Annotated[
    UUID,
    spelled(
        "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
        "6f1f2b36-0f4c-4b52-9d3c-4f6a1c2f7f10",
    ),
]
MAX_DEPTH = 20


def depth(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, parts), default=0)


def plain_json(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what an answer could not send back: NaN, lone surrogates, deep nesting."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        is_plain = depth(value) <= MAX_DEPTH
    except (ValueError, RecursionError):
        is_plain = False
    if not is_plain:
        raise ValueError(f"must be JSON of finite numbers and of Unicode, at most {MAX_DEPTH} deep")
    return value


# An object; a body's size is limited.
Json = Annotated[dict[str, Any], AfterValidator(plain_json)]


def differs(before: object, after: object) -> bool:
    """Tell whether a new value must be stored: to Python, the JSON `true` equals `1`."""
    if isinstance(before, dict) and isinstance(after, dict):
        return json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True)
    return before != after


# Money: a number or a string on the way in, a string with two decimals on the way out, because
# most JSON parsers read a number as a binary fraction.
_PRICE = r"^[0-9]{1,8}(\.[0-9]{1,2})?$"


def plain_decimal(value: Any) -> Any:
    """Refuse text that is a number to Decimal but not to OpenAPI, such as `1e3` or ` 1_0 `."""
    if isinstance(value, str) and not re.fullmatch(_PRICE, value, re.ASCII):
        raise ValueError("must be a number with at most 8 digits before the point and 2 after it")
    return value


def to_cents(value: Decimal) -> Decimal:
    """Two decimals, and no negative zero."""
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

# Lists: a query returns a result, and the response model turns it into a page.
Limit = Annotated[int, Field(ge=1, le=100), Digits]
Offset = Annotated[int, Field(ge=0, le=MAX_INT), Digits]
Cursor = Annotated[Text, Field(max_length=200, description="`next_cursor` of the page before")]


@dataclass(frozen=True)
class OffsetResult(Generic[T]):
    """What becomes an OffsetPage."""

    items: Sequence[T]
    total: int
    limit: int
    offset: int


@dataclass(frozen=True)
class CursorResult(Generic[T]):
    """What becomes a CursorPage."""

    items: Sequence[T]
    next_cursor: str | None


class OffsetPage(Schema, Generic[T]):
    """Rows `offset` to `offset + limit` of `total`."""

    items: list[T]
    total: int
    limit: int
    offset: int


class CursorPage(Schema, Generic[T]):
    """A page of rows and the cursor of the next page; null on the last one."""

    items: list[T]
    next_cursor: str | None
