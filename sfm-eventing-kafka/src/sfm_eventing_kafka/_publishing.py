"""Publishing records wherever they belong, in order."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

from sfm_eventing_kafka._driver import Producer, append, partition_of
from sfm_eventing_kafka._record import Addressed, Record


async def publish(producer: Producer, records: Sequence[Addressed]) -> None:
    """Publish records; those of one topic and key in order.

    Args:
        producer: Sends them.
        records: What to publish.

    Raises:
        KafkaError: One was not acknowledged; some may have been published.
    """
    waiting: dict[tuple[str, int], deque[Record]] = defaultdict(deque)
    for topic, partition, record in records:
        partitions = sorted(await producer.partitions_for(topic))
        if record.key is not None:
            chosen = partition_of(record.key, partitions)
        else:
            chosen = partition if partition in partitions else partitions[0]
        waiting[topic, chosen].append(record)
    for (topic, chosen), queue in waiting.items():
        while queue:
            batch = producer.create_batch()
            while queue and append(batch, queue[0]):
                queue.popleft()
            await (await producer.send_batch(batch, topic, partition=chosen))
