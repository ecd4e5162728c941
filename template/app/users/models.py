from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, false, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models import Base, PrimaryKey, Timestamps


class User(Timestamps, Base):
    __tablename__ = "users"
    __table_args__ = (CheckConstraint("email = lower(email)", "email_is_lower_case"),)

    id: Mapped[PrimaryKey]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    is_admin: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Incremented to revoke all tokens issued before.
    token_version: Mapped[int] = mapped_column(default=1)

    profile: Mapped["Profile | None"] = relationship(back_populates="user", lazy="raise")

    # Optimistic lock: every change sets updated_at, so SQLAlchemy can refuse a stale write by it.
    __mapper_args__ = {"version_id_col": Timestamps.updated_at, "version_id_generator": False}


class FailedLogins(Base):
    """How often a password for an email was wrong in a row. The email may have no account.

    `app/attempts.py` has the rules, and `app purge` deletes old rows.
    """

    __tablename__ = "failed_logins"

    email_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    retry_at: Mapped[datetime]  # refused before


class Profile(Timestamps, Base):
    """Public profile; at most one per user."""

    __tablename__ = "profiles"

    user_id: Mapped[int] = mapped_column(ForeignKey(User.id), primary_key=True)
    bio: Mapped[str | None] = mapped_column(String(500))
    avatar_url: Mapped[str | None] = mapped_column(String(500))

    user: Mapped[User] = relationship(back_populates="profile", lazy="raise")
