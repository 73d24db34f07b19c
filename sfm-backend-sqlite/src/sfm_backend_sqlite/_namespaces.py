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
            row = connection.execute("SELECT id FROM namespace WHERE name = ?", (name,)).fetchone()
            if row is None:
                return None
            number = self._known[name] = row[0]
        return number


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
