"""A plain loop on aiokafka: fetch, work, send; wait for all answers, then commit."""

from __future__ import annotations

import asyncio
import signal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.processors.assignment import Assignment, Tuning
from benchmarks.processors.work import Work, work_of_settings
from streams.normalizing.normalize import TYPE

_POLL_MS = 100


async def run(told: Assignment) -> None:
    """Work until SIGTERM. A message that is not delivered ends the process, and nothing is committed."""
    work = work_of_settings()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    consumer = AIOKafkaConsumer(
        told.source,
        bootstrap_servers=told.servers,
        group_id=told.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **_consumer_settings(told.tuning),
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=told.servers,
        acks="all",
        enable_idempotence=True,
        compression_type=told.tuning.compression,
        linger_ms=told.tuning.linger_ms,
        max_batch_size=told.tuning.batch_bytes,
    )
    async with consumer, producer:
        await _loop(consumer, producer, told, work, stopping)


async def _loop(
    consumer: AIOKafkaConsumer,
    producer: AIOKafkaProducer,
    told: Assignment,
    work: Work,
    stopping: asyncio.Event,
) -> None:
    loop = asyncio.get_running_loop()
    positions: dict[TopicPartition, int] = {}
    sent: list[asyncio.Future[object]] = []
    committed = loop.time()
    while not stopping.is_set():
        fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=told.tuning.poll_records)
        for place, records in fetched.items():
            for record in records:
                framed = work(record.partition, record.offset, record.timestamp, record.value)
                answer = await producer.send(
                    told.output,
                    framed.value,
                    framed.key,
                    framed.partition,
                    headers=[(TYPE, framed.type)],
                )
                sent.append(answer)
            positions[place] = records[-1].offset + 1
        if loop.time() - committed >= told.tuning.commit_ms / 1000:
            await _commit(consumer, positions, sent)
            committed = loop.time()
    await _commit(consumer, positions, sent)


async def _commit(
    consumer: AIOKafkaConsumer, positions: dict[TopicPartition, int], sent: list[asyncio.Future[object]]
) -> None:
    for answer in sent:  # after the first most are there, and gather() would cost more than the waiting
        await answer
    if positions:
        await consumer.commit(positions)
    sent.clear()
    positions.clear()


def _consumer_settings(tuning: Tuning) -> dict[str, object]:
    return {
        "isolation_level": "read_committed",
        "session_timeout_ms": tuning.session_ms,
        "heartbeat_interval_ms": tuning.heartbeat_ms,
        "fetch_max_wait_ms": tuning.fetch_wait_ms,
        "fetch_min_bytes": tuning.fetch_min_bytes,
        "fetch_max_bytes": tuning.fetch_bytes,
        "max_partition_fetch_bytes": tuning.partition_fetch_bytes,
        "max_poll_records": tuning.poll_records,
    }


if __name__ == "__main__":
    asyncio.run(run(Assignment.told()))
