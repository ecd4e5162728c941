import secrets

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, Timestamps


def new_id() -> int:
    """Return a random id that a JSON number can hold, and that does not count the tenants."""
    return secrets.randbelow(2**53 - 1) + 1


class Tenant(Timestamps, Base):
    __tablename__ = "tenants"

    # Made in Python: a session must say for whom it works before it can insert the row.
    id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, default=new_id
    )
    name: Mapped[str] = mapped_column(String(100))

    # Optimistic lock, as for users.
    __mapper_args__ = {"version_id_col": Timestamps.updated_at, "version_id_generator": False}
