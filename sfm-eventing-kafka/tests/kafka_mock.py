"""The brokers that librdkafka mocks for its own tests, which fail as they are told to."""

from __future__ import annotations

import ctypes
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from kafka_brokers import left_out

PRODUCE: Final = 0
FETCH: Final = 1
LIST_OFFSETS: Final = 2
COMMIT: Final = 8
COMMITTED: Final = 9
FIND_COORDINATOR: Final = 10
JOIN: Final = 11
HEARTBEAT: Final = 12
SYNC: Final = 14
_PRODUCER: Final = 0


class MockBrokers:
    """A cluster inside this process."""

    def __init__(self, library: ctypes.CDLL, cluster: ctypes.c_void_p) -> None:
        self._library = library
        self._cluster = cluster

    @property
    def address(self) -> str:
        bootstraps = self._library.rd_kafka_mock_cluster_bootstraps
        bootstraps.restype = ctypes.c_char_p
        found: bytes = bootstraps(self._cluster)
        return found.decode()

    def create(self, topic: str, partitions: int) -> None:
        self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)

    def answer(self, request: int, codes: Sequence[int]) -> None:
        """Answer the next requests of a kind with these codes; 0 is success."""
        array = (ctypes.c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(request), ctypes.c_size_t(len(codes)), array
        )


@contextmanager
def mock_brokers() -> Generator[MockBrokers]:
    """Run a cluster of one broker."""
    library = _library()
    handle = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, None, None, ctypes.c_size_t(0)))
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(handle, 1))
    # A group begins without waiting for more members.
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, ctypes.c_int32(0))
    try:
        yield MockBrokers(library, cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(handle)


def _library() -> ctypes.CDLL:
    spec = find_spec("confluent_kafka")
    if spec is None or spec.origin is None:
        left_out("librdkafka's mock", "Install confluent-kafka.")
    folder = Path(spec.origin).parent.parent / "confluent_kafka.libs"
    path = next(folder.glob("librdkafka*.so*"), None)
    if path is None:
        left_out("librdkafka's mock", "The wheel of confluent-kafka has no library here.")
    # Its own libraries lie beside it.
    library = ctypes.CDLL(str(path))
    for name in ("rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("rd_kafka_mock_cluster_destroy", "rd_kafka_destroy"):
        getattr(library, name).restype = None
    return library
