"""Taking memories in and out as a whole, and keeping derived stores right."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Sequence

from sfm_core.engine.import_lines import Permits
from sfm_core.engine.importing import Progress
from sfm_core.engine.operations.parts import Operations
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.report import CheckReport, CollectionState, ImportReport


class Keeping(Operations):
    """Exports and imports, checks and rebuilds."""

    def export(self, namespaces: Sequence[str] | None = None) -> AsyncGenerator[bytes]:
        """Write everything that lives as JSON Lines.

        Args:
            namespaces: What to export; everything by default.

        Returns:
            Lines without their ends: a header, memories with their kept
            versions, links, and a footer with their numbers and the SHA-256 of
            all lines before it. Needs memory for one page only. What is
            written meanwhile may be in it or not.
        """
        return self._parts.exporting.export(namespaces)

    async def import_lines(
        self,
        lines: AsyncIterable[bytes],
        *,
        default_namespace: str,
        progress: Progress | None = None,
        permits: Permits | None = None,
        idempotency_key: IdempotencyKey | None = None,
        dry_run: bool = False,
    ) -> ImportReport:
        """Read JSON Lines: an export, or plain lines of memories.

        Needs memory for one page of lines only.

        Args:
            lines: One JSON object each; blank ones are passed over.
            default_namespace: For lines that name none.
            progress: Told how many lines were dealt with.
            permits: Tells of a namespace whether lines may be about it; all may by default.
            idempotency_key: Names this import, so that each line is dealt with once:
                repeated, it goes on where it was, whatever was written since.
            dry_run: Only say what would be imported and which lines are not
                acceptable. Whether the ends of a link are there shows only when
                it is written.

        Returns:
            What was imported, and which lines were left out and why. Importing
            the same again changes nothing, unless lines differ about one memory
            and name no version: then each replaces the one before, every time.

        Raises:
            InvalidInputError: The header of an export names a format that this release
                does not read; what came before may be imported.
            BackendError: A backend failed; what came before is imported.
            IdempotencyKeyReusedError: The key was given to another write, or a line is
                another one than before; what came before is imported.
        """
        return await self._parts.importing.import_lines(
            lines,
            default_namespace=default_namespace,
            progress=progress,
            permits=permits,
            key=idempotency_key,
            dry_run=dry_run,
        )

    async def follow_up(self) -> int:
        """Have the derived stores follow everything that the truth notes as owed.

        What other processes hold is theirs, until their leases end. Upkeep does
        the same every few seconds; this is for who knows that there is work.

        Returns:
            How many notes were worked off.

        Raises:
            SupersededError: Another truth has taken over from this one.
            BackendUnavailableError: A backend failed; what is owed stays noted.
        """
        return await self._parts.adopting.follow_up()

    async def rebuild(self, *, progress: Progress | None = None) -> int:
        """Remake everything that is derived from the truth, while it serves.

        A collection that is being built for another embedder is remade too,
        and serves afterwards.

        Args:
            progress: Told how many memories and links were dealt with.

        Returns:
            How many memories and links were dealt with.

        Raises:
            BackendError: A backend failed; what came before is remade.
        """
        self._parts.builder.kick()
        rebuilt = await self._parts.checking.rebuild(progress=progress)
        await self._parts.builder.settled()
        return rebuilt

    async def collections(self) -> list[CollectionState]:
        """List the collections of the vector store.

        Returns:
            What each of them is for, and how far a build of it is.

        Raises:
            BackendError: Truth or vector store failed.
        """
        return await self._parts.shelving.list()

    async def drop_collection(self, name: str) -> None:
        """Drop a collection that nothing needs, to free its space.

        What is in it can be made again from the truth. Going back to its
        embedder then takes a whole build.

        Args:
            name: A collection that is kept or unlisted.

        Raises:
            NotFoundError: There is none of that name.
            InvalidInputError: It serves, is being built, or has just been replaced.
            BackendError: Truth or vector store failed.
        """
        await self._parts.shelving.drop(name)

    async def check(self, *, repair: bool = False, progress: Progress | None = None) -> CheckReport:
        """Compare the derived stores with the truth.

        Args:
            repair: Whether to make them follow. Nothing is deleted from the truth.
            progress: Told how many memories and links were dealt with.

        Returns:
            The differences that were found, repaired or not.

        Raises:
            BackendError: A backend failed.
        """
        return await self._parts.checking.check(repair=repair, progress=progress)
