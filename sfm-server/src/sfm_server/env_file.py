"""Reads a file of `NAME=value` lines as Docker Compose does, so that one file says one thing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream
from dotenv.variables import parse_variables

from sfm_core.errors import ConfigurationError

_LITERAL = re.compile(r"\s*(?:export\s+)?[^=]*=[^\S\r\n]*'((?:\\.|[^'\\])*)'", re.DOTALL)


def read_env_file(path: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Read a file.

    What is between single quotes stands for itself, but for a quote after a
    backslash, which is that quote. Elsewhere `${NAME}` is the value of a variable.

    Args:
        path: The file.
        environ: Variables that its values may name, beside those of the lines before.

    Returns:
        Values by name.

    Raises:
        ConfigurationError: The file cannot be read, or a line of it says nothing.
    """
    found: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8") as stream:
            for binding in parse_stream(stream):
                if binding.error:
                    raise _malformed(path, binding)
                if binding.key is not None:
                    found[binding.key] = _value(binding, {**environ, **found})
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}.", remedy="Make it readable text, or move it away."
        ) from error
    return found


def _value(binding: Binding, known: Mapping[str, str]) -> str:
    literal = _LITERAL.match(binding.original.string)
    if literal is not None:
        return literal[1].replace("\\'", "'")
    return "".join(atom.resolve(known) for atom in parse_variables(binding.value or ""))


def _malformed(path: Path, binding: Binding) -> ConfigurationError:
    # The line itself is in no message: it may hold a secret.
    return ConfigurationError(
        f"Line {binding.original.line} of {path} is no NAME=value.",
        remedy="Correct it; a value with blanks or signs belongs between single quotes.",
    )
