"""What an export says of itself in its last line, so that whoever reads it sees if it is whole."""

from __future__ import annotations

import hashlib

from sfm_core.engine.portable import FORMAT, FORMAT_VERSION
from sfm_core.errors import InvalidInputError
from sfm_core.model.payload import JsonValue

KINDS = ("memory", "history", "link")
"""What the lines between header and footer describe."""


def header_document() -> dict[str, JsonValue]:
    """Return what the first line of an export says."""
    return {"kind": "header", "format": FORMAT, "version": FORMAT_VERSION}


class Seal:
    """Counts the lines of an export, and makes one checksum of all of them.

    The checksum is the SHA-256 of the lines, each with a line feed at its end,
    so that `sed '$d' FILE | sha256sum` makes the same.
    """

    def __init__(self) -> None:
        """Begin before the header."""
        self._counts: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._digest = hashlib.sha256()

    def add(self, line: bytes) -> None:
        """Add a line to the checksum.

        Args:
            line: All of it, without its end.
        """
        self._digest.update(line)
        self._digest.update(b"\n")

    def count(self, kind: str) -> None:
        """Count a line that was understood."""
        self._counts[kind] += 1

    def footer_document(self) -> dict[str, JsonValue]:
        """Return what the last line of the export says."""
        return {
            "kind": "footer",
            "memories": self._counts["memory"],
            "history": self._counts["history"],
            "links": self._counts["link"],
            "sha256": self._digest.hexdigest(),
        }

    def check(self, footer: dict[str, object]) -> None:
        """Compare what was read with what a footer says of it.

        Args:
            footer: The last line; earlier releases have written no checksum.

        Raises:
            InvalidInputError: There was something else, or not all of it.
        """
        told = (footer.get("memories"), footer.get("links"))
        seen = (self._counts["memory"], self._counts["link"])
        if told != seen:
            raise InvalidInputError(
                f"The export counts {told[0]} memories and {told[1]} links; "
                f"{seen[0]} and {seen[1]} were readable.",
                field="footer",
                remedy="The file was changed or damaged; export it again.",
            )
        if footer.get("sha256", self._digest.hexdigest()) != self._digest.hexdigest():
            raise InvalidInputError(
                "The checksum of the export is not that of its lines.",
                field="footer",
                remedy="The file was changed or damaged; export it again.",
            )
