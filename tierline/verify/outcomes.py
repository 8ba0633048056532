"""Counts how each intent ended, from events, dead letters, held records and skips alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tierline.verify.evidence import Evidence, Place, TopicEvent
from tierline.verify.invariants import is_raw

OUTCOMES = ("accepted", "rejected", "duplicates", "held", "dead_lettered", "skipped", "validated")
"""How an intent ends, by the names of a Tally; each in exactly one of these ways."""


@dataclass(slots=True)
class Tally:
    """Counts of one channel, or of all: intents by how they ended, and what became of the accepted ones.

    ``held`` counts orders that the decider holds and intents whose record waits (``why_held``). ``validated``
    counts questions (``validate_only``).
    """

    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    held: int = 0
    dead_lettered: int = 0
    skipped: int = 0
    validated: int = 0
    operations: int = 0
    completed: int = 0
    failed: int = 0
    superseded: int = 0
    tier_changes: int = 0
    why_rejected: Counter[str] = field(default_factory=Counter)
    why_dead: Counter[str] = field(default_factory=Counter)
    why_held: Counter[str] = field(default_factory=Counter)
    why_skipped: Counter[str] = field(default_factory=Counter)

    @property
    def outcomes(self) -> int:
        """Intents that have an outcome."""
        return sum(getattr(self, name) for name in OUTCOMES)


def tally_by_channel(settled: Mapping[int, Sequence[TopicEvent]], evidence: Evidence) -> dict[str, Tally]:
    """One tally per channel that published something."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    channel_of: dict[str, str] = {}
    for decision in _decisions(settled):
        first = decision[0]
        origin = Place(**first["origin"])
        kinds = {event["type"] for event in decision}
        if is_raw(origin.topic):
            _count_intake(tallies[first["channel"]], decision, kinds)
            channel_of.update({e["order_id"]: e["channel"] for e in decision if e["type"] == "OrderReceived"})
        for event in decision:
            _count_ending(tallies, channel_of, event)
    for letter in {letter.id: letter for letter in evidence.dead_letters}.values():
        if is_raw(letter.intent.place.topic):
            tally = tallies[letter.intent.place.topic.split(".")[1]]
            tally.dead_lettered += 1
            tally.why_dead[f"{letter.dead_letter_class} {letter.code}"] += 1
    for record in evidence.held:
        tally = tallies[record.place.topic.split(".")[1]]
        tally.held += len(record.intents)
        tally.why_held[f"{record.dead_letter_class} {record.code}"] += len(record.intents)
    for skipped in evidence.skipped:
        tally = tallies[skipped.intent.place.topic.split(".")[1]]
        tally.skipped += 1
        tally.why_skipped[skipped.reason] += 1
    return dict(tallies)


def _decisions(settled: Mapping[int, Sequence[TopicEvent]]) -> Iterable[list[Mapping[str, Any]]]:
    for events in settled.values():
        decision: list[Mapping[str, Any]] = []
        for event in events:
            decision.append(event.envelope)
            if event.envelope["decision_index"] == event.envelope["decision_count"] - 1:
                yield decision
                decision = []


def _count_intake(tally: Tally, decision: Sequence[Mapping[str, Any]], kinds: set[str]) -> None:
    if "DuplicateOrderIgnored" in kinds:
        tally.duplicates += 1
    elif "OrderRejected" in kinds:
        tally.rejected += 1
        rejection = next(e for e in decision if e["type"] == "OrderRejected")
        tally.why_rejected.update(reason["code"] for reason in rejection["body"]["reasons"])
    elif "OrderHeld" in kinds:
        tally.held += 1
        held = next(e for e in decision if e["type"] == "OrderHeld")
        tally.why_held.update(reason["code"] for reason in held["body"]["reasons"])
    elif "OperationIgnored" in kinds and decision[0]["reason_code"] == "OPERATION_REPEATED":
        tally.duplicates += 1
    elif "OrderReceived" in kinds:
        tally.accepted += 1
    elif kinds & {"StandingChanged", "OperationIgnored", "PeriodRolled"}:
        tally.accepted += 1
        tally.operations += 1
    else:
        tally.validated += 1


def _count_ending(tallies: dict[str, Tally], channel_of: Mapping[str, str], event: Mapping[str, Any]) -> None:
    channel = channel_of.get(event["order_id"])
    if channel is None:
        return
    match event["type"]:
        case "OrderCompleted":
            tallies[channel].completed += 1
        case "OrderFailed":
            tallies[channel].failed += 1
        case "OrderSuperseded":
            tallies[channel].superseded += 1
        case "TierChanged":
            tallies[channel].tier_changes += 1
