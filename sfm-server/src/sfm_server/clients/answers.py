"""What a server has answered: the value that was asked for, or the error that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import httpx
import msgspec

from sfm_core import errors
from sfm_server.problems import PROBLEM_JSON, TYPE_PREFIX, all_errors

AnswerT = TypeVar("AnswerT")


class RemoteError(errors.SfmError):
    """A server answered with an error that this version does not know, or with something else."""

    code = "remote"


def checked(response: httpx.Response, form: type[AnswerT]) -> AnswerT:
    """Read an answer, if it is one.

    Args:
        response: What came.
        form: What it should be.

    Returns:
        The answer.

    Raises:
        SfmError: The server has answered with an error, or is none of ours.
    """
    if response.is_error:
        raise error_of(response)
    return decoded(response, form)


def decoded(response: httpx.Response, form: type[AnswerT]) -> AnswerT:
    """Read an answer, whatever its status says.

    Args:
        response: What came.
        form: What it should be.

    Returns:
        The answer.

    Raises:
        SfmError: It is something else.
    """
    try:
        return msgspec.json.decode(response.content, type=form)
    except msgspec.DecodeError as error:
        raise error_of(response) from error


def error_of(response: httpx.Response) -> errors.SfmError:
    """Make of a problem the error that it was made from."""
    kind = response.headers.get("content-type", "").partition(";")[0]
    if kind != PROBLEM_JSON:
        return RemoteError(
            f"{response.url} answered with status {response.status_code} and no problem+json.",
            remedy="Check that the URL is that of a SomaFractalMemory server.",
        )
    problem: dict[str, object] = msgspec.json.decode(response.content)
    code = str(problem.get("type", "")).removeprefix(TYPE_PREFIX)
    message, remedy = str(problem.get("detail", "")), str(problem.get("remedy", ""))
    for known in all_errors():
        if known.code == code:
            return _remade(known, message, remedy, problem)
    return RemoteError(message, remedy=remedy)


def _remade(
    known: type[errors.SfmError], message: str, remedy: str, problem: Mapping[str, object]
) -> errors.SfmError:
    if issubclass(known, errors.InvalidInputError):
        return known(message, field=str(problem.get("field", "")), remedy=remedy)
    if issubclass(known, errors.BackendError):
        return known(message, backend=str(problem.get("backend", "")), remedy=remedy)
    if issubclass(known, errors.VersionConflictError):
        expected, actual = problem.get("expected_version"), problem.get("actual_version")
        return known(
            message,
            expected=expected if isinstance(expected, int) else 0,
            actual=actual if isinstance(actual, int) else 0,
            remedy=remedy,
        )
    return known(message, remedy=remedy)
