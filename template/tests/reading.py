"""Reading sessions on the connection that all sessions of a test share."""

from sqlalchemy import Connection, event, orm

from app.reading import READS_ONLY


class ReadingSession(orm.Session):
    """Refuses to write, like the session of a GET or HEAD."""


@event.listens_for(ReadingSession, "after_begin")
def forbid_writing(_session: object, _transaction: object, connection: Connection) -> None:
    connection.execution_options(**READS_ONLY)


@event.listens_for(ReadingSession, "after_transaction_end")
def allow_writing(session: ReadingSession, _transaction: object) -> None:
    session.get_bind().execution_options(**dict.fromkeys(READS_ONLY, False))
