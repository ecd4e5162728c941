from datetime import date, datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, BigInt


class Report(Base):
    __tablename__ = "reports"

    day: Mapped[date] = mapped_column(primary_key=True)
    items: Mapped[int] = mapped_column(BigInt)
    made_at: Mapped[datetime]
