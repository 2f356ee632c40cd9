"""Errors: one root, four families, picklable, the request id at the end of the text."""

import inspect
import pickle

import pytest

from aiopaiio import errors

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.Error)]


def test_all_are_exported() -> None:
    assert {c.__name__ for c in CLASSES} <= set(errors.__all__)


@pytest.mark.parametrize("cls", CLASSES)
def test_pickles_with_everything_it_knows(cls: type[errors.Error]) -> None:
    error = cls("message", table="p.t", partition="ds=1", session="s1", rows="[0, 9)", request_id="R1")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert copy.__dict__ == error.__dict__
    assert str(copy) == str(error)
    assert str(copy).endswith("request id R1)")
    assert copy.args == ("message",)


def test_families() -> None:
    assert issubclass(errors.UsageError, ValueError)
    assert issubclass(errors.ValueTypeError, TypeError)
    assert issubclass(errors.TransportError, OSError)
    assert issubclass(errors.TransportTimeout, TimeoutError)
    assert issubclass(errors.OutOfRange, EOFError)


def test_context_is_filled_in_but_not_overwritten() -> None:
    error = errors.DataError("m", table="inner").with_context(table="outer", rows="[0, 1)")
    assert (error.table, error.rows) == ("inner", "[0, 1)")
    with pytest.raises(TypeError, match="unknown context"):
        error.with_context(tabel="x")


@pytest.mark.parametrize(
    ("code", "status", "cls", "retryable"),
    [
        ("NoSuchTable", 404, errors.NoSuchTable, False),
        ("NoSuchPartition", 404, errors.NoSuchPartition, False),
        ("ODPS-0130131", 404, errors.NoSuchTable, False),
        ("NoSuchDownload", 404, errors.SessionExpired, False),
        ("SignatureNotMatch", 401, errors.AuthorizationError, False),
        ("", 401, errors.AuthorizationError, False),
        ("", 403, errors.AuthorizationError, False),
        ("SlotExceeded", 400, errors.Throttled, True),
        ("FlowExceeded", 429, errors.Throttled, True),
        ("", 429, errors.Throttled, True),
        ("InternalServerError", 500, errors.ServerUnavailable, True),
        ("", 502, errors.ServerUnavailable, True),
        ("", 308, errors.ServerUnavailable, True),
        ("", 408, errors.ServerUnavailable, True),
        ("NotImplemented", 501, errors.ServerError, False),
        ("InvalidRowRange", 400, errors.ServerError, False),
        ("StatusConflict", 409, errors.SessionConflict, False),
        ("TableModified", 412, errors.TableModified, False),
    ],
)
def test_answers_map_to_classes(code: str, status: int, cls: type[errors.ServerError], retryable: bool) -> None:
    error = errors.server_error(code, status, "text", request_id="R")
    assert type(error) is cls
    assert error.retryable is retryable
    assert f"{cls.__name__}: {error}".count(code or f"HTTP {status}") == 1
