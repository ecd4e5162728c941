from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.schemas import OMITTED, PatchSchema, Schema, Text

Name = Annotated[Text, Field(min_length=1, max_length=100)]


class TenantUpdate(PatchSchema):
    name: Name = OMITTED


class TenantRead(Schema):
    id: int
    name: str
    created_at: datetime
    updated_at: datetime
