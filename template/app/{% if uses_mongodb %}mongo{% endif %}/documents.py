"""What all documents have in common: ids, versions, timestamps, and how types are stored."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, TypeVar

import bson
from bson import Decimal128, ObjectId
from bson.codec_options import TypeCodec, TypeRegistry
from bson.errors import InvalidDocument
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pymongo import IndexModel

from app import schemas

Filter = dict[str, Any]

# The id of a document, as ObjectId writes it.
Id = Annotated[str, Field(pattern="^[0-9a-f]{24}$", examples=["65a0c0ffee0123456789abcd"])]


def to_milliseconds(value: datetime) -> datetime:
    """Cut what MongoDB does not store, so that the answer is what will be read."""
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


Moment = Annotated[datetime, AfterValidator(to_milliseconds)]


def utcnow() -> datetime:
    return to_milliseconds(datetime.now(UTC))


def new_id() -> str:
    return str(ObjectId())


class Document(BaseModel):
    """A document. Each subclass names its collection, and the indexes that are created for it."""

    model_config = ConfigDict(validate_assignment=True)

    __collection__: ClassVar[str]
    __indexes__: ClassVar[list[IndexModel]]

    id: str = Field(default_factory=new_id)
    # Optimistic lock: each write increments it, and looks for what `unchanged` says.
    version: int = 1
    created_at: Moment = Field(default_factory=utcnow)
    # Equal to created_at on insert.
    updated_at: Moment = Field(default_factory=lambda values: values["created_at"])


D = TypeVar("D", bound=Document)

# For `IndexModel(…, **NOT_DELETED)`: deleted documents are not in it, and cost a page nothing.
NOT_DELETED: dict[str, Any] = {"partialFilterExpression": {"deleted_at": None}}


def to_bson(document: Document) -> dict[str, Any]:
    """Return what is stored."""
    values = document.model_dump()
    return {"_id": ObjectId(values.pop("id")), **values}


def from_bson(model: type[D], stored: Mapping[str, Any]) -> D:
    return model.model_validate({**stored, "id": str(stored["_id"])})


def unchanged(document: Document) -> Filter:
    """Find a document as long as it has the version that was read."""
    return {"_id": ObjectId(document.id), "version": document.version}


def assign(document: Document, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Change fields of a document; return the update that stores it, or none if none is new."""
    before = document.model_dump()
    for name, value in changes.items():
        setattr(document, name, value)
    after = document.model_dump()
    if not any(schemas.differs(before[name], after[name]) for name in after):
        return {}
    document.updated_at = utcnow()
    after = document.model_dump()
    changed = {name: after[name] for name in after if schemas.differs(before[name], after[name])}
    return {"$set": changed, "$inc": {"version": 1}}


# How types are stored that BSON lacks. Enums and addresses are text, and UUIDs have a type.


class DecimalCodec(TypeCodec):
    """Stores a decimal exactly."""

    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        return value.to_decimal()


def encode_date(value: Any) -> Any:
    """Return the text of a date, which sorts as dates do. BSON then refuses any other type."""
    return value.isoformat() if isinstance(value, date) else value


TYPES = TypeRegistry([DecimalCodec()], fallback_encoder=encode_date)


def storable(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse the JSON that BSON cannot hold, and names to which MongoDB gives a meaning."""
    try:
        bson.encode(value)
    except (InvalidDocument, OverflowError):
        raise ValueError("must have integers within 64 bits, and names without NUL") from None
    if has_dollars(value):
        raise ValueError("must have names that do not begin with $")
    return value


def has_dollars(value: Any) -> bool:
    if isinstance(value, dict):
        return any(name.startswith("$") or has_dollars(value[name]) for name in value)
    return isinstance(value, list) and any(map(has_dollars, value))


Json = Annotated[schemas.Json, AfterValidator(storable)]
