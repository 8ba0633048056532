"""The invariants, each a pure function from evidence to a finding.

The events of the topic are judged twice: as the log that stands in Kafka (with its repeats), and after
the repeats are dropped (``settle``): a repeat is the same position with the same bytes.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tierline.verify.evidence import (
    Evidence,
    Finding,
    Harm,
    Intent,
    Place,
    StoredEvent,
    TopicEvent,
)

GENESIS = bytes(32)
_NEVER = 2**63
_ENDED_BY_CHANNEL = "SUBSCRIPTION_ENDED"
HAS_OUTCOME = "each intent has an outcome"
HAS_NO_SECOND = "no intent has a second outcome"
ONCE_PER_ORDER = (
    "OrderReceived",
    "QuoteIssued",
    "PaymentCaptured",
    "TierChanged",
    "BillingScheduleAdjusted",
    "OrderCompleted",
    "OrderFailed",
    "OrderRejected",
    "OrderSuperseded",
)
TERMINAL = frozenset({"OrderCompleted", "OrderFailed", "OrderRejected", "OrderSuperseded"})


def finding(invariant: str, checked: int, offences: Iterable[str], harm: Harm | None = None) -> Finding:
    """Count the offences and keep the first."""
    found = list(offences)
    return Finding(invariant, checked, len(found), found[0] if found else None, harm)


def settle(events: Iterable[TopicEvent]) -> dict[int, list[TopicEvent]]:
    """The events by partition, each position once, in the order in which they first appeared."""
    settled: dict[int, list[TopicEvent]] = defaultdict(list)
    seen: set[tuple[int, int]] = set()
    for event in events:
        key = (event.place.partition, event.position)
        if key not in seen:
            seen.add(key)
            settled[event.place.partition].append(event)
    return dict(settled)


def repeats_are_equal(events: Sequence[TopicEvent]) -> Finding:
    """The same position always holds the same bytes."""

    def offences() -> Iterator[str]:
        first: dict[tuple[int, int], TopicEvent] = {}
        for event in events:
            known = first.setdefault((event.place.partition, event.position), event)
            if known.value != event.value:
                yield f"{event.place}: position {event.position} again with other bytes than {known.place}"

    return finding("a position is only ever repeated with the same bytes", len(events), offences())


def positions_are_contiguous(settled: Mapping[int, Sequence[TopicEvent]]) -> Finding:
    """Positions of a partition run 0, 1, 2, … in the order of the log."""

    def offences() -> Iterator[str]:
        for events in settled.values():
            for expected, event in enumerate(events):
                if event.position != expected:
                    yield f"{event.place}: position {event.position} where {expected} is due"
                    break

    checked = sum(map(len, settled.values()))
    return finding("positions are contiguous", checked, offences(), Harm.OUT_OF_ORDER)


def chain_holds(settled: Mapping[int, Sequence[TopicEvent]]) -> Finding:
    """Each hash is SHA-256 of the one before it and the value's bytes."""

    def offences() -> Iterator[str]:
        for events in settled.values():
            previous = GENESIS
            for event in events:
                previous = hashlib.sha256(previous + event.value).digest()
                if previous != event.hash_header:
                    yield f"{event.place}: position {event.position} does not continue the hash chain"
                    break

    return finding("the hash chain holds", sum(map(len, settled.values())), offences())


def headers_agree(events: Sequence[TopicEvent]) -> Finding:
    """Position, partition and type say the same in headers, place and envelope."""

    def offences() -> Iterator[str]:
        for event in events:
            said = (event.envelope["position"], event.envelope["partition"], event.envelope["type"])
            meant = (event.position, event.place.partition, event.type_header)
            if said != meant:
                yield f"{event.place}: envelope says {said}, headers and place say {meant}"

    return finding("headers agree with the envelope", len(events), offences())


def versions_are_contiguous(settled: Mapping[int, Sequence[TopicEvent]]) -> Finding:
    """Versions of a stream run 1, 2, 3, …, and a stream stays in one partition."""

    def offences() -> Iterator[str]:
        version: Counter[str] = Counter()
        home: dict[str, int] = {}
        for partition, events in settled.items():
            for event in events:
                stream = event.envelope["stream_id"]
                version[stream] += 1
                if event.envelope["version"] != version[stream]:
                    said = event.envelope["version"]
                    yield f"{event.place}: {stream} is at version {version[stream]}, the event says {said}"
                    version[stream] = said
                if home.setdefault(stream, partition) != partition:
                    yield f"{event.place}: {stream} also has events in partition {home[stream]}"

    checked = sum(map(len, settled.values()))
    return finding("versions of each stream are contiguous", checked, offences(), Harm.OUT_OF_ORDER)


def decisions_are_whole(settled: Mapping[int, Sequence[TopicEvent]]) -> Finding:
    """The events of one decision stand together, from index 0 to the count they name."""

    def offences() -> Iterator[str]:
        for events in settled.values():
            due = 0
            for event in events:
                index, count = event.envelope["decision_index"], event.envelope["decision_count"]
                if index != due:
                    yield f"{event.place}: decision index {index} where {due} is due"
                due = 0 if index == count - 1 else index + 1
            if due:
                yield f"{events[-1].place}: the last decision is cut off"

    return finding("decisions are whole", sum(map(len, settled.values())), offences())


def store_equals_topic(store: Sequence[StoredEvent], settled: Mapping[int, Sequence[TopicEvent]]) -> Finding:
    """Store and topic hold the same bytes and hashes at the same positions, neither more than the other."""

    def offences() -> Iterator[str]:
        rows = {(row.partition, row.position): row for row in store}
        for partition, events in settled.items():
            for event in events:
                row = rows.pop((partition, event.position), None)
                if row is None:
                    yield f"{event.place}: position {event.position} is not in the store"
                elif row.value != event.value:
                    yield f"oms.event ({partition}, {event.position}) differs from {event.place}"
                elif row.hash != event.hash_header:
                    yield f"oms.event ({partition}, {event.position}) has another hash than {event.place}"
        for partition, position in sorted(rows):
            yield f"oms.event ({partition}, {position}) is not in the topic"

    return finding("store and topic are equal byte for byte", len(store), offences())


def each_intent_has_one_outcome(
    evidence: Evidence, settled: Mapping[int, Sequence[TopicEvent]]
) -> list[Finding]:
    """Each intent of each raw record is decided, held, dead or skipped: one of these, and once."""
    outcomes, counts = outcomes_of_intents(settled, evidence)
    published = {record.place for record in evidence.raw}

    def lost() -> Iterator[str]:
        for place in published:
            said = counts.get(place)
            if not said:
                yield f"{place}: lost, it has no outcome"
            elif len(said) > 1:
                yield f"{place}: its outcomes disagree on how many intents it has: {sorted(said)}"
            else:
                for intent in (Intent(place, index) for index in range(next(iter(said)))):
                    if intent not in outcomes:
                        yield f"{place}: intent {intent.index} is lost, it has no outcome"

    def one_too_many() -> Iterator[str]:
        for intent, ended in outcomes.items():
            if intent.place not in published:
                yield f"{intent}: has an outcome, but no such record was published"
            elif len(ended) > 1:
                yield f"{intent} ended more than once: {', '.join(ended)}"

    checked = sum(max(counts.get(place, {1})) for place in published)
    return [
        finding(HAS_OUTCOME, checked, lost(), Harm.LOST),
        finding(HAS_NO_SECOND, checked, one_too_many(), Harm.TWICE),
    ]


def outcomes_of_intents(
    settled: Mapping[int, Sequence[TopicEvent]], evidence: Evidence
) -> tuple[dict[Intent, list[str]], dict[Place, set[int]]]:
    """How each intent ended, in words, and how many intents each record is said to have."""
    outcomes: dict[Intent, list[str]] = defaultdict(list)
    counts: dict[Place, set[int]] = defaultdict(set)
    for events in settled.values():
        for event in events:
            origin = Place(**event.envelope["origin"])
            if event.envelope["decision_index"] == 0 and is_raw(origin.topic):
                outcomes[Intent(origin, event.envelope["intent_index"])].append(f"decision {event.place}")
                counts[origin].add(event.envelope["intent_count"])
    for letter in {letter.id: letter for letter in evidence.dead_letters}.values():
        if is_raw(letter.intent.place.topic):
            outcomes[letter.intent].append(f"dead letter {letter.place}")
            counts[letter.intent.place].add(letter.intent_count)
    for record in evidence.held:
        counts[record.place].add(record.intent_count)
        for index in record.intents:
            outcomes[Intent(record.place, index)].append("held")
    for skipped in evidence.skipped:
        counts[skipped.intent.place].add(skipped.intent_count)
        outcomes[skipped.intent].append(f"skipped {skipped.reason}")
    return outcomes, counts


def is_raw(topic: str) -> bool:
    """True for the topic of a channel's own orders."""
    return topic.startswith("orders.") and topic.endswith(".v1") and ".replies." not in topic


def no_effect_happens_twice(evidence: Evidence, settled: Mapping[int, Sequence[TopicEvent]]) -> Finding:
    """Per order each effect at most once, one ending at most; per payment one capture at the gateway.

    An order that a person released is priced anew.
    """

    def offences() -> Iterator[str]:
        effects: Counter[tuple[str, str]] = Counter()
        endings: Counter[str] = Counter()
        for events in settled.values():
            for event in events:
                order, kind = event.envelope["order_id"], event.envelope["type"]
                if order is None:
                    continue
                if kind == "OrderReleased":
                    effects[order, "QuoteIssued"] = 0
                if kind in ONCE_PER_ORDER:
                    effects[order, kind] += 1
                    if effects[order, kind] == 2:
                        yield f"order {order}: {kind} again at {event.place}"
                if kind in TERMINAL:
                    endings[order] += 1
                    if endings[order] == 2:
                        yield f"order {order}: ended again with {kind} at {event.place}"
        for payment, captures in evidence.captures.items():
            if captures > 1:
                yield f"payment {payment}: captured {captures} times at the gateway"

    orders = {e.envelope["order_id"] for events in settled.values() for e in events} - {None}
    return finding("no effect happens twice", len(orders), offences(), Harm.TWICE)


def silence_is_never_followed_by_a_no(settled: Mapping[int, Sequence[TopicEvent]]) -> Finding:
    """An order that its channel counts as accepted from some moment on is not rejected after it, nor does it
    fail, unless the channel itself ended the subscription.
    """
    limits: dict[str, int] = {}

    def offences() -> Iterator[str]:
        for events in settled.values():
            for event in events:
                order, kind = event.envelope["order_id"], event.envelope["type"]
                limit = event.envelope.get("decide_by")
                if kind == "OrderReceived" and limit is not None:
                    limits[order] = limit
                if _is_a_no(event) and event.envelope["occurred_at"] > limits.get(order, _NEVER):
                    yield f"order {order}: {kind} at {event.place} after its channel took silence for a yes"

    found = list(offences())
    return finding("no order is rejected or fails after its limit", len(limits), found)


def _is_a_no(event: TopicEvent) -> bool:
    kind, reason = event.envelope["type"], event.envelope.get("reason_code")
    return kind == "OrderRejected" or (kind == "OrderFailed" and reason != _ENDED_BY_CHANNEL)


def held_records_keep_their_bytes(evidence: Evidence) -> Finding:
    """A held record is the record that was published, byte for byte."""
    sources = {record.place: record for record in evidence.raw}

    def offences() -> Iterator[str]:
        for held in evidence.held:
            source = sources.get(held.place)
            if source is None:
                yield f"{held.place}: is held, but no such record was published"
            elif (source.key, source.value) != (held.key, held.value):
                yield f"{held.place}: key or bytes of the held record differ from the published one"

    return finding("held records keep key and bytes", len(evidence.held), offences())


def judge(evidence: Evidence) -> list[Finding]:
    """Every invariant of log, store and intents; ``folds`` and ``dead_letters`` have the others."""
    settled = settle(evidence.topic)
    return [
        *each_intent_has_one_outcome(evidence, settled),
        no_effect_happens_twice(evidence, settled),
        silence_is_never_followed_by_a_no(settled),
        repeats_are_equal(evidence.topic),
        positions_are_contiguous(settled),
        chain_holds(settled),
        headers_agree(evidence.topic),
        versions_are_contiguous(settled),
        decisions_are_whole(settled),
        store_equals_topic(evidence.store, settled),
        held_records_keep_their_bytes(evidence),
    ]
