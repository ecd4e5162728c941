from sqlalchemy import CheckConstraint, ForeignKey, String, false, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.database import Base, PrimaryKey, Timestamps


class User(Timestamps, Base):
    __tablename__ = "users"
    __table_args__ = (CheckConstraint("email = lower(email)", "email_is_lower_case"),)

    id: Mapped[PrimaryKey]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    is_admin: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Counts up when the tokens that are out must not be valid any longer.
    token_version: Mapped[int] = mapped_column(default=1)

    profile: Mapped["Profile | None"] = relationship(back_populates="user", lazy="raise")


class Profile(Timestamps, Base):
    """What a user tells the others: at most one for each."""

    __tablename__ = "profiles"

    user_id: Mapped[int] = mapped_column(ForeignKey(User.id), primary_key=True)
    bio: Mapped[str | None] = mapped_column(String(500))
    avatar_url: Mapped[str | None] = mapped_column(String(500))

    user: Mapped[User] = relationship(back_populates="profile", lazy="raise")
