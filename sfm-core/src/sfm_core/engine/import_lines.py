"""Understanding the lines of an import."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from sfm_core.engine.portable import FORMAT, FORMAT_VERSION
from sfm_core.engine.sealing import Seal
from sfm_core.errors import InvalidInputError
from sfm_core.model.link import DEFAULT_LINK_TYPE
from sfm_core.model.memory import Episode, MemoryType

MOST: Final = 2**52
"""Highest number of a line that is in no export. Such numbers are made up, and what is counted on
from there must still be a number that an import takes."""

_FRAME: Final = ("header", "footer")
_OF_A_VERSION: Final = (
    "created_at",
    "updated_at",
    "access_count",
    "last_accessed_at",
    "from_created_at",
    "to_created_at",
)
_COUNTS: Final = ("version", "access_count")

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
Version: TypeAlias = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]


class MemoryLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line that describes a memory; with a version it is to be restored as it was."""

    coord: list[float] | str
    payload: dict[str, object]
    kind: Literal["memory", "history"] = "memory"
    namespace: str = ""
    type: MemoryType = MemoryType.EPISODIC
    importance: Share | None = None
    version: Version | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
    expires_at: Moment | None = None
    episode: Episode | None = None
    access_count: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0
    last_accessed_at: Moment | None = None


class LinkLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line that describes a link; with a version it is to be restored as it was."""

    from_coord: list[float] | str
    to_coord: list[float] | str
    kind: Literal["link"] = "link"
    namespace: str = ""
    type: str = DEFAULT_LINK_TYPE
    weight: float = 1.0
    version: Version | None = None
    updated_at: Moment | None = None
    from_created_at: Moment | None = None
    to_created_at: Moment | None = None


Line: TypeAlias = MemoryLine | LinkLine
Permits: TypeAlias = Callable[[str], bool]
"""Tells whether a namespace may be imported into."""

_decoder: msgspec.json.Decoder[dict[str, object]] = msgspec.json.Decoder(dict)


class StrangeExportError(InvalidInputError):
    """An export is in a format that this release does not read: none of it is to be believed."""


class LineReader:
    """Understands the lines of one import, one after the other."""

    def __init__(self, default_namespace: str, permits: Permits | None = None) -> None:
        """Use `default_namespace` for lines that name none, and take those that `permits` says."""
        self._default = default_namespace
        self._permits = permits
        self._is_export = False
        self._ended = False
        self._seal = Seal()

    def read(self, line: bytes) -> Line | None:
        """Understand a line.

        Args:
            line: JSON in UTF-8.

        Returns:
            What it describes; `None` for header and footer.

        Raises:
            InvalidInputError: It cannot be understood; the message says why.
            StrangeExportError: It is the header of an export that cannot be read.
        """
        try:
            document = _decoder.decode(line)
            kind = document.get("kind", "link" if "from_coord" in document else "memory")
            if kind in _FRAME:
                self._frame(str(kind), line, document)
                return None
            self._seal.add(line)
            shape: type[MemoryLine | LinkLine] = LinkLine if kind == "link" else MemoryLine
            parsed = msgspec.convert(document, shape)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"{error}.", field="line") from error
        self._seal.count(parsed.kind)
        self._check_version(parsed, document)
        if not parsed.namespace:
            parsed = msgspec.structs.replace(parsed, namespace=self._default)
        if self._permits is not None and not self._permits(parsed.namespace):
            raise InvalidInputError(
                "The line is about a namespace that may not be imported into.", field="namespace"
            )
        return parsed

    def missing_footer(self) -> str:
        """Say what is wrong with an export that does not end as it should; "" if nothing is."""
        if self._in_export:
            return "The export was cut short: its last line is missing. Export it again."
        return ""

    def _check_version(self, line: Line, document: dict[str, object]) -> None:
        """Refuse what means nothing where no version is to be restored, and numbers made up."""
        for name in _OF_A_VERSION if line.version is None and line.kind != "history" else ():
            if document.get(name):
                raise InvalidInputError(
                    f"The line says {name}, which is restored only together with its version.",
                    field=name,
                    remedy="Name the version, or leave it out to store as new.",
                )
        for name in () if self._in_export else _COUNTS:
            value = document.get(name)
            if isinstance(value, int) and value > MOST:
                raise InvalidInputError(
                    f"{name} is {value}.", field=name, remedy=f"Use a number up to {MOST}."
                )

    @property
    def _in_export(self) -> bool:
        return self._is_export and not self._ended

    def _frame(self, kind: str, line: bytes, document: dict[str, object]) -> None:
        if kind == "header":
            self._header(line, document)
        else:
            self._ended = True
            self._seal.check(document)

    def _header(self, line: bytes, document: dict[str, object]) -> None:
        if document.get("format") != FORMAT or document.get("version") != FORMAT_VERSION:
            raise StrangeExportError(
                f"The header names format {document.get('format')!r}, "
                f"version {document.get('version')!r}.",
                field="version",
                remedy=f"This release reads {FORMAT!r}, version {FORMAT_VERSION}.",
            )
        problem = self.missing_footer()
        # Several exports may follow one another, each with a footer of its own.
        self._is_export, self._ended = True, False
        self._seal = Seal()
        self._seal.add(line)
        if problem:
            raise InvalidInputError(f"Another export begins here. {problem}", field="kind")
