"""Orders of one key are decided in the order in which their channel published them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tierline.verify.evidence import Evidence, Finding, Harm, Intent, Place, TopicEvent
from tierline.verify.invariants import finding

INVARIANT = "orders of one key are decided in their order"


def keys_keep_their_order(evidence: Evidence, settled: Mapping[int, Sequence[TopicEvent]]) -> Finding:
    """In each partition of the events, whatever the orders waited for.

    Nothing is promised for records without a key, and for intents that were dead letters before.
    """
    keys = {record.place: record.key for record in evidence.raw if record.key is not None}
    died = {letter.intent for letter in evidence.dead_letters}
    died |= {letter.intent for letter in evidence.kept.values()}
    decided = [
        (keys[place], place, event)
        for events in settled.values()
        for event in events
        if event.envelope["decision_index"] == 0
        and (place := Place(**event.envelope["origin"])) in keys
        and Intent(place, event.envelope["intent_index"]) not in died
    ]

    def offences() -> Iterator[str]:
        latest: dict[tuple[bytes, str, int, int], Place] = {}
        for key, place, event in decided:
            line = (key, place.topic, place.partition, event.place.partition)
            if place < latest.get(line, place):
                yield f"{place}: was decided at {event.place}, behind {latest[line]} of the same key"
            latest[line] = max(place, latest.get(line, place))

    return finding(INVARIANT, len(decided), offences(), Harm.OUT_OF_ORDER)
