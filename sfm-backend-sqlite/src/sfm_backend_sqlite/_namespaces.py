"""Numbers that stand for the names of namespaces inside the file."""

from __future__ import annotations

import sqlite3


class Namespaces:
    """Looks up the numbers of names. A number never changes once it is committed."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def find(self, connection: sqlite3.Connection, name: str) -> int | None:
        """Return the number of a name, or `None` where nothing was ever kept under it.

        Args:
            connection: A connection that is not inside a write transaction:
                what it sees may be remembered.
            name: The namespace.
        """
        number = self._known.get(name)
        if number is None:
            number = find(connection, name)
            if number is not None:
                self._known[name] = number
        return number


def find(connection: sqlite3.Connection, name: str) -> int | None:
    """Return the number of a name as the file has it now, or `None`.

    Args:
        connection: Any connection.
        name: The namespace.
    """
    row: tuple[int] | None = connection.execute(
        "SELECT id FROM namespace WHERE name = ?", (name,)
    ).fetchone()
    return row[0] if row else None


def allot(connection: sqlite3.Connection, name: str, *, used: bool = False) -> int:
    """Return the number of a name inside a write transaction, and allot one where it has none.

    Args:
        connection: The connection that writes.
        name: The namespace.
        used: Whether an entry is being put into it.
    """
    row: tuple[int, int] | None = connection.execute(
        "SELECT id, used FROM namespace WHERE name = ?", (name,)
    ).fetchone()
    if row is not None and (row[1] or not used):
        return row[0]
    (number,) = connection.execute(
        "INSERT INTO namespace (name, used) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET used = 1 RETURNING id",
        (name, int(used)),
    ).fetchone()
    return int(number)
