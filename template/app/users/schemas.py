from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Secret, StrictBool

from app.passwords import refuse_common
from app.schemas import (
    OMITTED,
    Email,
    Flag,
    Limit,
    Offset,
    PatchSchema,
    Schema,
    Text,
    WebAddress,
    drop_defaults,
)

Name = Annotated[Text, Field(min_length=1, max_length=100)]
PASSWORD = {"format": "password", "writeOnly": True}
# Secret: a password shows as asterisks wherever it is printed or logged.
Password = Annotated[
    Secret[Annotated[Text, Field(min_length=8, max_length=128), AfterValidator(refuse_common)]],
    Field(json_schema_extra=PASSWORD),
]
# An existing password may be older than the rules for new ones.
AnyPassword = Annotated[
    Secret[Annotated[Text, Field(min_length=1, max_length=1000)]], Field(json_schema_extra=PASSWORD)
]


class UserCreate(Schema):
    email: Email
    name: Name
    password: Password


# Changing these takes the password: a stolen token is not enough.
SENSITIVE = {"email", "password"}


def require_current_password(schema: dict[str, Any]) -> None:
    drop_defaults(schema)
    schema["dependentRequired"] = {name: ["current_password"] for name in sorted(SENSITIVE)}


class UserUpdate(PatchSchema):
    model_config = ConfigDict(json_schema_extra=require_current_password)

    name: Name = OMITTED
    email: Email = OMITTED
    password: Password = OMITTED
    current_password: AnyPassword = OMITTED


class UserAdministration(PatchSchema):
    """What administrators may change of others."""

    is_active: StrictBool = OMITTED


class UserRead(Schema):
    """What users see of themselves, and administrators of everybody."""

    id: int
    email: str
    name: str
    is_active: bool
    is_admin: bool
    created_at: datetime
    updated_at: datetime


class ProfileUpdate(Schema):
    bio: Annotated[Text, Field(max_length=500)] | None = None
    avatar_url: WebAddress | None = None


class ProfileRead(Schema):
    bio: str | None
    avatar_url: str | None


class UserPublic(Schema):
    """What users see of each other."""

    id: int
    name: str
    created_at: datetime
    profile: ProfileRead | None


class UserFilters(BaseModel):
    q: Annotated[Text | None, Field(max_length=100, description="Part of name or email")] = None
    email: Annotated[Text | None, Field(max_length=254, description="Part of the email")] = None
    is_active: Flag | None = None
    limit: Limit = 20
    offset: Offset = 0


class TokenRequest(Schema):
    """The form of OAuth2's password flow (RFC 6749, section 4.3.2)."""

    model_config = ConfigDict(extra="ignore")  # section 3.2

    grant_type: Literal["password"] = "password"
    username: Annotated[Text, Field(min_length=1, max_length=254, description="The email")]
    password: AnyPassword
    scope: Text = ""
    client_id: Text | None = None
    client_secret: Text | None = None


class Token(Schema):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 (the name of a scheme)
