"""Pages of documents after a cursor, and searches in them."""

import re

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING

from app.mongo.documents import Filter
from app.pagination import SortOrder


def after(order: SortOrder, cursor: str | None) -> list[Filter]:
    """Return the conditions for the documents after the cursor.

    Raises InvalidError when the cursor is broken, or belongs to another order.
    """
    if cursor is None:
        return []
    value, document_id = order.decode(cursor)
    beyond = "$lt" if order.descending else "$gt"
    either = [{order.field: {beyond: value}}, {"_id": {beyond: ObjectId(document_id)}}]
    # The first is there for the index, whose scan it bounds.
    return [{order.field: {f"{beyond}e": value}}, {"$or": either}]


def in_order(order: SortOrder) -> list[tuple[str, int]]:
    direction = DESCENDING if order.descending else ASCENDING
    return [(order.field, direction), ("_id", direction)]


def every(conditions: list[Filter]) -> Filter:
    """Join conditions; MongoDB refuses an empty `$and`."""
    return {"$and": conditions} if conditions else {}


def containing(text: str) -> Filter:
    """Find a text that has this part, in any case."""
    return {"$regex": re.escape(text), "$options": "i"}
