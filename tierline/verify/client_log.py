"""What a client saw of its own orders, held against what became of them.

The log is NDJSON with a line before and one after each publish (``tierline load --client-log``); it is the
one witness outside Kafka and PostgreSQL for what was published at all.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tierline.verify.evidence import (
    ClientOrder,
    Evidence,
    Finding,
    Harm,
    Intent,
    Place,
    RawRecord,
    TopicEvent,
)
from tierline.verify.invariants import finding, outcomes_of_intents

TAKEN = "each order that its client saw taken has an outcome"
TAKEN_ONCE = "no order that its client saw taken has a second outcome"
NOT_TAKEN = "each order that its client saw fail, or no answer for, has at most one outcome"

Content = tuple[str, bytes | None, bytes]
"""Topic, key and SHA-256 of the value: by these a record is known whose place nobody was told."""


class ClientLogUnreadable(ValueError):
    """A file is not a client's log. Action: give the file that ``tierline load --client-log`` wrote."""


def read_client_log(file: Path) -> list[ClientOrder]:
    """The orders of a client's log. Raises ClientLogUnreadable.

    A line that is cut off was being written when its client ended: what it was to say is unknown.
    """
    orders: dict[str, ClientOrder] = {}
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        try:
            orders[said["order"]] = _told(orders.get(said["order"]), said, f"{file}:{number}")
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ClientLogUnreadable(f"{file}:{number} is not a line of a client's log") from None
    return list(orders.values())


def _told(known: ClientOrder | None, said: Mapping[str, Any], where: str) -> ClientOrder:
    """The order after one more line about it. Raises ValueError where the line cannot follow."""
    match known, said["state"]:
        case None, "sent":
            key = None if said["key"] is None else said["key"].encode()
            return ClientOrder(where, said["topic"], key, bytes.fromhex(said["sha256"]), said["intents"])
        case ClientOrder(state="unknown"), "ok":
            place = Place(known.topic, said["partition"], said["offset"])
            return replace(known, state="ok", place=place)
        case ClientOrder(state="unknown"), "failed":
            return replace(known, state="failed")
    raise ValueError(said["state"])


@dataclass(frozen=True, slots=True)
class _Sides:
    """What the client says and what is there.

    ``others``: orders that were not taken, by content. ``arrived``: where records stand that nobody was told
    the place of. ``outcomes``, ``counts``: as ``outcomes_of_intents`` gives them.
    """

    taken: Sequence[tuple[ClientOrder, Place]]
    others: Mapping[Content, Sequence[ClientOrder]]
    arrived: Mapping[Content, Sequence[Place]]
    records: Mapping[Place, Content]
    outcomes: Mapping[Intent, Sequence[str]]
    counts: Mapping[Place, set[int]]

    @classmethod
    def of(cls, evidence: Evidence, settled: Mapping[int, Sequence[TopicEvent]]) -> _Sides:
        """Sort the evidence."""
        taken = [(order, order.place) for order in evidence.client_orders if order.place is not None]
        others: dict[Content, list[ClientOrder]] = defaultdict(list)
        for order in evidence.client_orders:
            if order.place is None:
                others[_sent(order)].append(order)
        records = {record.place: _content(record) for record in evidence.raw}
        told = {place for _, place in taken}
        arrived: dict[Content, list[Place]] = defaultdict(list)
        for place, content in records.items():
            if place not in told:
                arrived[content].append(place)
        return cls(taken, dict(others), dict(arrived), records, *outcomes_of_intents(settled, evidence))


def judge_client_log(evidence: Evidence, settled: Mapping[int, Sequence[TopicEvent]]) -> list[Finding]:
    """Exactly one outcome for each order that was taken, one or none for each other one.

    An order that failed may have arrived all the same, and nobody was told where: it is known by its content.
    """
    sides = _Sides.of(evidence, settled)
    unanswered = sum(map(len, sides.others.values()))
    return [
        finding(TAKEN, len(sides.taken), _lost(sides), Harm.LOST),
        finding(TAKEN_ONCE, len(sides.taken), _taken_twice(sides), Harm.TWICE),
        finding(NOT_TAKEN, unanswered, _wrong_with_others(sides), Harm.TWICE),
    ]


def _lost(sides: _Sides) -> Iterator[str]:
    first_told: dict[Place, ClientOrder] = {}
    for order, place in sides.taken:
        first = first_told.setdefault(place, order)
        if first is not order:
            yield f"{order}: lost, {first.where} was told {place} too"
        elif place not in sides.records:
            yield f"{order}: lost, no record stands at {place}"
        elif sides.records[place] != _sent(order):
            yield f"{order}: lost, another record stands at {place}"
        elif offence := _lost_intent(order, place, sides):
            yield f"{order}: {offence}"


def _lost_intent(order: ClientOrder, place: Place, sides: _Sides) -> str | None:
    for index in range(order.intents):
        if Intent(place, index) not in sides.outcomes:
            return f"intent {index} is lost, it has no outcome"
    others = sides.counts[place] - {order.intents}
    return f"carries {order.intents} intents, its outcome says {sorted(others)}" if others else None


def _taken_twice(sides: _Sides) -> Iterator[str]:
    for order, place in sides.taken:
        content = _sent(order)
        if sides.records.get(place) != content:
            continue
        if content in sides.arrived and content not in sides.others:
            yield f"{order}: stands at {place}, and once more at {sides.arrived[content][0]}"
        yield from _ended_twice(order, place, sides)


def _wrong_with_others(sides: _Sides) -> Iterator[str]:
    for content, orders in sides.others.items():
        arrived = sides.arrived.get(content, ())
        if len(arrived) > len(orders):
            yield f"{orders[0]}: sent {len(orders)} times, stands at {', '.join(map(str, arrived))}"
        for place in arrived:
            yield from _ended_twice(orders[0], place, sides)


def _ended_twice(order: ClientOrder, place: Place, sides: _Sides) -> Iterator[str]:
    for index in range(order.intents):
        ended = sides.outcomes.get(Intent(place, index), ())
        if len(ended) > 1:
            yield f"{order}: intent {index} ended more than once: {', '.join(ended)}"


def _content(record: RawRecord) -> Content:
    return record.place.topic, record.key, hashlib.sha256(record.value or b"").digest()


def _sent(order: ClientOrder) -> Content:
    return order.topic, order.key, order.sha256
