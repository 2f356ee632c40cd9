"""Every exception this library raises on purpose.

One root, :class:`Error`, and four families below it, one for each thing a caller may want to do next:

* :class:`UsageError` - the call is wrong; mend the program (also a ``ValueError``).
* :class:`ServerError` - the service said no, with a code, a status and a request id.
* :class:`TransportError` - the service could not be reached or fell silent (also an ``OSError``).
* :class:`DataError` - bytes came, but they are not the rows that were asked for.

Whether trying again can help is the class attribute :attr:`Error.retryable`, never a match on text. All of them pickle,
and their text ends with what is known of where it happened; the request id is the last word of it.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AuthorizationError",
    "BusyError",
    "CertificateError",
    "ChecksumError",
    "ClosedError",
    "ColumnError",
    "CommitError",
    "ConfigError",
    "ConnectFailed",
    "ConnectionLost",
    "DataError",
    "DecompressionError",
    "Error",
    "ForkedError",
    "MalformedStreamError",
    "NoSuchObject",
    "NoSuchPartition",
    "NoSuchProject",
    "NoSuchTable",
    "OutOfRange",
    "RowCountError",
    "SchemaMismatchError",
    "ServerError",
    "ServerUnavailable",
    "SessionConflict",
    "SessionExpired",
    "SliceConflictError",
    "SliceError",
    "TableModified",
    "TablePathError",
    "Throttled",
    "TimestampRangeError",
    "TransportError",
    "TransportTimeout",
    "TruncatedStreamError",
    "UnprovenRowsError",
    "UsageError",
    "ValueTypeError",
    "server_error",
]

_CONTEXT = ("table", "partition", "session", "rows", "request_id")


class Error(Exception):
    """Root of all exceptions of this library.

    ``table``, ``partition``, ``session``, ``rows`` (a half-open row range such as ``[0, 4096)``) and ``request_id`` are
    strings when known, otherwise None.
    """

    retryable: ClassVar[bool] = False
    """Whether the same request may succeed when it is sent again."""

    def __init__(
        self,
        message: str = "",
        *,
        table: str | None = None,
        partition: str | None = None,
        session: str | None = None,
        rows: str | None = None,
        request_id: str | None = None,
    ) -> None:
        # Not super().__init__(message): OSError interprets its arguments, and two families inherit from it.
        Exception.__init__(self, message)
        self.message = message
        self.table = table
        self.partition = partition
        self.session = session
        self.rows = rows
        self.request_id = request_id

    def with_context(self, **context: str | None) -> Error:
        """Fill in what is still unknown of where this happened, and return the same exception."""
        for name, value in context.items():
            if name not in _CONTEXT:
                raise TypeError(f"unknown context {name!r}")
            if getattr(self, name) is None:
                setattr(self, name, value)
        return self

    def __str__(self) -> str:
        known = [(name.replace("_", " "), getattr(self, name)) for name in _CONTEXT]
        where = ", ".join(f"{name} {value}" for name, value in known if value)
        return f"{self.message} ({where})" if where else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(cls: type[Error], state: dict[str, Any]) -> Error:
    error = cls.__new__(cls)
    Exception.__init__(error, state.get("message", ""))
    error.__dict__.update(state)
    return error


# ---------------------------------------------------------------------------------------------------------------- usage


class UsageError(Error, ValueError):
    """The call cannot be right, whatever the service says."""


class ConfigError(UsageError):
    """An endpoint or a key is missing, or the configuration file cannot be read."""


class TablePathError(UsageError):
    """A table path is not of the form ``odps://PROJECT/tables/TABLE[/PARTITION...][?start=A&end=B]``."""


class ColumnError(UsageError):
    """A column is unknown, named twice, or both column lists are given."""


class SliceError(UsageError):
    """``slice_id`` is not in ``[0, slice_count)``, or a row range does not fit the table."""


class ValueTypeError(UsageError, TypeError):
    """A value to be written does not fit its column; nothing of the call it came with has been taken."""


class ClosedError(UsageError):
    """A reader, writer or client is used after it was closed."""


class ForkedError(UsageError):
    """A reader, writer or client that was opened before ``fork`` is used in the child process."""


class BusyError(UsageError):
    """A reader or writer is used by two tasks at once."""


class SliceConflictError(UsageError):
    """Another writer is writing the same slice of the same table or shared upload session."""


class OutOfRange(Error, EOFError):
    """There is no row at the place that was asked for: the slice is at its end."""


# --------------------------------------------------------------------------------------------------------------- server


class ServerError(Error):
    """The service refused a request.

    ``code`` is MaxCompute's error code (for example ``NoSuchTable``), ``status`` the HTTP status,
    ``retry_after_seconds`` what the service asked to wait, if it did.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        status: int = 0,
        retry_after_seconds: float | None = None,
        **context: str | None,
    ) -> None:
        super().__init__(message, **context)
        self.code = code
        self.status = status
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        text = super().__str__()
        label = self.code or f"HTTP {self.status}"
        # Whoever shows an exception puts its class before its text.
        return text if text.startswith(label) or label == type(self).__name__ else f"{label}: {text}"


class NoSuchObject(ServerError):
    """Something named in the request does not exist."""


class NoSuchProject(NoSuchObject):
    """The project does not exist."""


class NoSuchTable(NoSuchObject):
    """The table does not exist."""


class NoSuchPartition(NoSuchObject):
    """The partition does not exist."""


class AuthorizationError(ServerError):
    """The keys are unknown, wrong or expired, or do not permit the operation."""


class SessionExpired(ServerError):
    """The download or upload session is gone from the service."""


class SessionConflict(ServerError):
    """The session's state does not allow the operation (it is already closed, for example)."""


class TableModified(ServerError):
    """The table changed after the session was made, so the rows that were promised can no longer be read."""


class Throttled(ServerError):
    """The service asks to wait: a flow, slot or request quota is used up."""

    retryable = True


class ServerUnavailable(ServerError):
    """A fault inside the service (HTTP 408 or 5xx)."""

    retryable = True


_BY_CODE: dict[str, type[ServerError]] = {
    "AccessDenied": AuthorizationError,
    "AuthenticationRequestExpired": AuthorizationError,
    "AuthorizationRequired": AuthorizationError,
    "DataVersionConflict": TableModified,
    "FlowExceeded": Throttled,
    "InvalidPartition": NoSuchPartition,
    "NoPermission": AuthorizationError,
    "NoSuchDownload": SessionExpired,
    "NoSuchObject": NoSuchObject,
    "NoSuchPartition": NoSuchPartition,
    "NoSuchProject": NoSuchProject,
    "NoSuchTable": NoSuchTable,
    "NoSuchUpload": SessionExpired,
    "ObjectModified": TableModified,
    "QPSExceeded": Throttled,
    "RequestTimeTooSkewed": AuthorizationError,
    "SignatureNotMatch": AuthorizationError,
    "SlotExceeded": Throttled,
    "StatusConflict": SessionConflict,
    "TableModified": TableModified,
    "TransferSessionExpired": SessionExpired,
    "Unauthorized": AuthorizationError,
    "ODPS-0130013": AuthorizationError,
    "ODPS-0130131": NoSuchTable,
    "ODPS-0410031": AuthorizationError,
    "ODPS-0410042": AuthorizationError,
    "ODPS-0410051": AuthorizationError,
    "ODPS-0420095": AuthorizationError,
}

# What to do about it, where the service does not say; looked for in the code and in the message.
_ADVICE = {
    "ODPS-0410042": "check access_key",
    "ODPS-0410051": "check access_id, access_key and security_token",
    "InvalidURI": "check end_point, which usually ends in /api",
    "MissingPartitionSpec": "put KEY=VALUE/... of one partition behind the table in the path",
    "RequestTimeTooSkewed": "check the clock of this machine",
}

_BY_STATUS: dict[int, type[ServerError]] = {
    308: ServerUnavailable,  # another server of the fleet takes over; the same request reaches it
    401: AuthorizationError,
    403: AuthorizationError,
    404: NoSuchObject,
    408: ServerUnavailable,
    409: SessionConflict,
    429: Throttled,
}


def server_error(
    code: str,
    status: int,
    message: str,
    *,
    request_id: str | None = None,
    retry_after_seconds: float | None = None,
) -> ServerError:
    """The exception for an answer of the service; its class follows from the code, else from the HTTP status."""
    cls = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if cls is None:
        cls = ServerUnavailable if status >= 500 and status != 501 else ServerError
    advice = next((advice for known, advice in _ADVICE.items() if known == code or known in message), None)
    text = message or "no message"
    return cls(
        f"{text.rstrip('.')}; {advice}" if advice else text,
        code=code,
        status=status,
        retry_after_seconds=retry_after_seconds,
        request_id=request_id,
    )


# ------------------------------------------------------------------------------------------------------------ transport


class TransportError(Error, OSError):
    """The network or the connection failed."""

    retryable = True


class ConnectFailed(TransportError):
    """No connection to the service could be made."""


class CertificateError(ConnectFailed):
    """The service's TLS certificate is not trusted."""

    retryable = False


class ConnectionLost(TransportError):
    """The connection broke before the answer was complete."""


class TransportTimeout(TransportError, TimeoutError):
    """The service did not answer in time."""


# ----------------------------------------------------------------------------------------------------------------- data


class DataError(Error):
    """Bytes came, but they do not prove to be what was asked for."""


class ChecksumError(DataError):
    """A checksum disagrees with the bytes it closes."""

    retryable = True


class TruncatedStreamError(DataError):
    """A body ended before its closing checksum."""

    retryable = True


class RowCountError(DataError):
    """A body was whole but held another number of rows than asked for."""

    retryable = True


class MalformedStreamError(DataError):
    """Bytes with a right checksum that are not a stream of rows of this schema."""

    retryable = True


class UnprovenRowsError(DataError):
    """An answer contradicted itself after some of its rows were delivered; those rows cannot be trusted."""


class DecompressionError(DataError):
    """A compressed body is damaged, or larger than allowed once decompressed."""

    retryable = True


class SchemaMismatchError(DataError):
    """Rows, batches or values do not fit the schema of the table, or tables that must agree differ."""


class TimestampRangeError(DataError):
    """A TIMESTAMP is outside Arrow's nanoseconds (years 1677 to 2262); ask for ``wide_timestamps=True``."""


class CommitError(DataError):
    """An upload was not committed: the service's blocks are not those that were sent."""
