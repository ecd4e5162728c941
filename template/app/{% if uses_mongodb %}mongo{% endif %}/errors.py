"""What an error of MongoDB means to a client. Both drivers raise the same ones."""

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import (
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

from app.database_errors import DatabaseUnavailableError
from app.errors import ConflictError

# 503: the same request could succeed later, without a fix.
# https://www.mongodb.com/docs/manual/reference/error-codes/
UNAVAILABLE = {
    6,  # HostUnreachable: a mongos does not reach a shard
    7,  # HostNotFound
    18,  # AuthenticationFailed: the password is being changed
    24,  # LockTimeout
    46,  # LockBusy
    50,  # MaxTimeMSExpired
    89,  # NetworkTimeout
    112,  # WriteConflict
    133,  # FailedToSatisfyReadPreference: there is no primary now
    134,  # ReadConcernMajorityNotAvailableYet
    146,  # ExceededMemoryLimit
    202,  # NetworkInterfaceExceededTimeLimit
    262,  # ExceededTimeLimit
    279,  # ClientDisconnect
    462,  # IngressRequestRateLimitExceeded
    9001,  # SocketException
    14031,  # OutOfDiskSpace
}
# 500: all others, which a developer or an operator must fix.


@contextmanager
def translated() -> Iterator[None]:
    """Raise ConflictError or DatabaseUnavailableError in place of the driver's errors.

    An error that is neither passes: it is a bug.
    """
    try:
        yield
    except DuplicateKeyError as error:
        raise ConflictError("This exists already.") from error
    except PyMongoError as error:
        if is_unavailable(error):
            raise DatabaseUnavailableError from error
        raise


def is_unavailable(error: PyMongoError) -> bool:
    """Tell whether the same request could succeed later."""
    return (
        # No server, none that takes writes, a lost connection.
        isinstance(error, ConnectionFailure | WriteConcernError)
        or error.timeout
        or error.has_error_label("RetryableWriteError")
        or (isinstance(error, OperationFailure) and error.code in UNAVAILABLE)
    )
