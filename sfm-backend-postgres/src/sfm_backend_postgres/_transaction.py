"""Carrying out commits in one transaction and one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from psycopg.rows import TupleRow

from sfm_backend_postgres._client import NotRepeatableError, check_alive
from sfm_backend_postgres._commits import Answer, Call, calls, stripes
from sfm_backend_postgres._errors import is_lost
from sfm_backend_postgres._levels import execute_alone
from sfm_backend_postgres._packing import pack_integers
from sfm_backend_postgres._statements import statements
from sfm_backend_postgres._types import Connection
from sfm_core.protocols.kv import Commit, CommitResult

_COMMIT = statements("truth")["commit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What `KeyValueStore.commit` was asked for.

    Attributes:
        commits: What to do.
        owner: Who holds the notes.
        lease: For how long.
    """

    commits: Sequence[Commit]
    owner: str
    lease: timedelta

    async def run(self, connection: Connection) -> list[CommitResult]:
        """Carry out the commits.

        Args:
            connection: A connection outside of a transaction.

        Returns:
            One result per commit.

        Raises:
            NotRepeatableError: The connection was lost after the commits were sent.
        """
        check_alive(connection)
        planned = calls(self.commits)
        try:
            rows = await self._send(connection, planned)
        except psycopg.Error as error:
            if is_lost(error):
                raise NotRepeatableError(error) from error
            raise
        return [
            result
            for call, row in zip(planned, rows, strict=True)
            for result in call.results(Answer(*row))
        ]

    async def _send(self, connection: Connection, planned: Sequence[Call]) -> list[TupleRow]:
        all_parameters = [
            {"owner": self.owner, "lease": self.lease, "stripes": _NO_STRIPES} | call.parameters()
            for call in planned
        ]
        # The locks of all calls at once, so that two transactions cannot wait for each other.
        all_parameters[0]["stripes"] = pack_integers(stripes(self.commits))
        if len(planned) == 1:
            return await execute_alone(connection, _COMMIT, all_parameters[0])
        async with connection.pipeline(), connection.transaction():
            cursors = [
                await connection.execute(_COMMIT, parameters, binary=True)
                for parameters in all_parameters
            ]
        return [row for cursor in cursors for row in await cursor.fetchall()]


_NO_STRIPES = pack_integers([])
