"""What can be chosen about a Qdrant store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdrant_client.models import ReadConsistencyType, WriteOrdering

LOCAL_SCHEME = "qdrant+local"
EDGE_SCHEME = "qdrant+edge"
API_KEY_OPTION = "QDRANT_API_KEY"


class Grpc(StrEnum):
    """Whether requests go through gRPC or through HTTP."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Quantization(StrEnum):
    """In which form a server keeps vectors in memory."""

    NONE = "none"
    SCALAR = "scalar"


@dataclass(frozen=True, slots=True, kw_only=True)
class QdrantSettings:
    """How one Qdrant is used.

    Attributes:
        scheme: The URL scheme that chose it.
        host: The server; empty in the process.
        port: Its HTTP port.
        path: Path before that of the API, for a server behind a proxy.
        tls: Whether the connection is encrypted.
        api_key: What the server asks for; empty where it asks for nothing.
        ca_file: Certificates to trust in place of the system's. gRPC cannot
            be told, so it goes through HTTP then.
        grpc: Whether to use gRPC; `AUTO` does where its port is open.
        grpc_port: Where the server speaks gRPC.
        timeout: Longest wait for one answer of the server.
        prefix: What the names of collections on the server begin with, so
            that several memories can share one server. Others are not touched.
        replicas: On how many nodes of a cluster each point is. With several,
            writes wait for most of them and reads ask most of them, so that a
            search sees every write that was acknowledged before it.
        shards: Into how many parts a cluster divides a collection that is made;
            0 leaves it to the server.
        quantization: Whether a collection that is made keeps one byte for each
            number of a vector in memory, and the numbers themselves on disk, where
            they are read to score what was found.
        scan_limit: Most candidates per arm that are fetched for a filter that
            the server can only narrow down.
        folder: Where the in-process mode or the worker keeps its points; `None`
            is memory.
        durable: Whether the worker waits for the disk before it acknowledges.
        lock_wait: How long to wait for another worker to leave the folder.
        scan_kilobytes: Up to how many vectors the worker compares one by one.
        step_kilobytes: At least how many must be new before it extends the graph.
    """

    scheme: str
    host: str = ""
    port: int = 6333
    path: str = ""
    tls: bool = False
    api_key: str = ""
    ca_file: Path | None = None
    grpc: Grpc = Grpc.AUTO
    grpc_port: int = 6334
    timeout: timedelta = timedelta(seconds=10)
    prefix: str = ""
    scan_limit: int = 20_000
    replicas: int = 1
    shards: int = 0
    quantization: Quantization = Quantization.NONE
    folder: Path | None = None
    durable: bool = True
    lock_wait: timedelta = timedelta(seconds=5)
    scan_kilobytes: int = 60_000
    step_kilobytes: int = 20_000

    @property
    def local(self) -> bool:
        """Whether the points live inside this process."""
        return self.scheme == LOCAL_SCHEME

    @property
    def embedded(self) -> bool:
        """Whether the points are on this machine, where one process has them for itself."""
        return self.scheme in {LOCAL_SCHEME, EDGE_SCHEME}

    @property
    def consistency(self) -> ReadConsistencyType | None:
        """How many replicas a read asks; `None` leaves it to the server."""
        from qdrant_client.models import ReadConsistencyType  # noqa: PLC0415 - see `plugin.py`

        return ReadConsistencyType.MAJORITY if self.replicas > 1 else None

    @property
    def ordering(self) -> WriteOrdering | None:
        """How writes to one point are put in order; `None` leaves it to the server."""
        from qdrant_client.models import WriteOrdering  # noqa: PLC0415 - see `plugin.py`

        return WriteOrdering.STRONG if self.replicas > 1 else None

    @property
    def place(self) -> str:
        """Where the points are, for messages; never with a credential."""
        if self.scheme == EDGE_SCHEME:
            return f"The Qdrant folder {self.folder}"
        if self.local:
            return f"The Qdrant folder {self.folder}" if self.folder else "Qdrant in memory"
        return f"Qdrant at {self.host}:{self.port}"
