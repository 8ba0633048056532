"""The checker holds a client's own log against what became of its orders: each rule is seen to fail."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tierline.verify.client_log import (
    NOT_TAKEN,
    TAKEN,
    TAKEN_ONCE,
    ClientLogUnreadable,
    judge_client_log,
    read_client_log,
)
from tierline.verify.evidence import (
    ClientOrder,
    Evidence,
    HeldRecord,
    Intent,
    Place,
    RawRecord,
    SkippedIntent,
)

TOPIC = "orders.partner.v1"
ANSWERED = {"order": "a-9", "state": "ok", "partition": 0, "offset": 4}
DIGEST = hashlib.sha256(b"value").hexdigest()


def place(offset: int) -> Place:
    return Place(TOPIC, 0, offset)


def client(state: str, at: int | None = None, value: bytes = b"value", intents: int = 1) -> ClientOrder:
    """One order of the log; ``at``: the offset that the client was told."""
    told = None if at is None else place(at)
    return ClientOrder("log:1", TOPIC, b"key", hashlib.sha256(value).digest(), intents, state, told)


def skipped(at: int, index: int = 0, count: int = 1) -> SkippedIntent:
    """An outcome."""
    return SkippedIntent(Intent(place(at), index), count, "DISCARDED")


def held(at: int, *intents: int, count: int = 1) -> HeldRecord:
    """An outcome of another kind."""
    return HeldRecord(place(at), intents, count, "unknown_account", "UNKNOWN_REFERENCE", b"key", b"value")


def there(*records: int, value: bytes = b"value", outcomes: bool = True, **more: Any) -> Evidence:
    """Records that stand at these offsets, each with its outcome unless told otherwise."""
    raw = [RawRecord(place(at), b"key", value) for at in records]
    return Evidence(raw=raw, skipped=[skipped(at) for at in records if outcomes], **more)


def broken_in(evidence: Evidence, *orders: ClientOrder) -> dict[str, str | None]:
    """The first offender of each rule that is broken."""
    evidence.client_orders = orders
    return {f.invariant: f.first for f in judge_client_log(evidence, {}) if not f.holds}


@pytest.mark.parametrize(
    ("evidence", "orders"),
    [
        (there(0), [client("ok", 0)]),
        (there(0, 1), [client("ok", 0), client("ok", 1)]),
        (there(), [client("failed")]),
        (there(0), [client("failed")]),
        (there(), [client("unknown")]),
        (there(0), [client("unknown")]),
        (there(0, 1), [client("failed"), client("ok", 1)]),
        (there(7, value=b"of another client"), []),
        (
            replace(there(0, outcomes=False), skipped=[skipped(0, 0, 2)], held=[held(0, 1, count=2)]),
            [client("ok", 0, intents=2)],
        ),
    ],
    ids=[
        "taken",
        "the same content twice",
        "failed, did not arrive",
        "failed, arrived",
        "unknown, did not arrive",
        "unknown, arrived",
        "failed, then taken",
        "others publish too",
        "two intents",
    ],
)
def test_what_the_client_may_see_breaks_nothing(evidence: Evidence, orders: list[ClientOrder]) -> None:
    """One outcome for what was taken, one or none for the rest."""
    assert {} == broken_in(evidence, *orders)


@pytest.mark.parametrize(
    ("evidence", "order", "said"),
    [
        (there(), client("ok", 0), f"lost, no record stands at {TOPIC}[0]@0"),
        (there(0, value=b"other"), client("ok", 0), f"lost, another record stands at {TOPIC}[0]@0"),
        (there(0, outcomes=False), client("ok", 0), "intent 0 is lost, it has no outcome"),
        (
            replace(there(0, outcomes=False), skipped=[skipped(0, 0, 2)]),
            client("ok", 0, intents=2),
            "intent 1 is lost, it has no outcome",
        ),
        (
            replace(there(0, outcomes=False), skipped=[skipped(0, 0, 2), skipped(0, 1, 2)]),
            client("ok", 0),
            "carries 1 intents, its outcome says [2]",
        ),
    ],
    ids=["gone", "replaced", "no outcome", "half", "more intents"],
)
def test_an_order_that_was_taken_has_an_outcome(evidence: Evidence, order: ClientOrder, said: str) -> None:
    """Where it has none, it is named."""
    assert {TAKEN: f"log:1 ({TOPIC}, ok): {said}"} == broken_in(evidence, order)


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (there(0, held=[held(0, 0)]), "intent 0 ended more than once: held, skipped DISCARDED"),
        (there(0, 1), f"stands at {TOPIC}[0]@0, and once more at {TOPIC}[0]@1"),
    ],
    ids=["two outcomes", "twice in the log"],
)
def test_an_order_that_was_taken_has_no_second_outcome(evidence: Evidence, said: str) -> None:
    """Where it has one, it is named."""
    assert {TAKEN_ONCE: f"log:1 ({TOPIC}, ok): {said}"} == broken_in(evidence, client("ok", 0))


def test_a_place_belongs_to_one_order() -> None:
    """Of two that were told the same place one is lost."""
    second = replace(client("ok", 0), where="log:4")
    broken = broken_in(there(0), client("ok", 0), second)
    assert {TAKEN: f"log:4 ({TOPIC}, ok): lost, log:1 was told {TOPIC}[0]@0 too"} == broken


@pytest.mark.parametrize("state", ["failed", "unknown"])
@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (there(0, 1), f"sent 1 times, stands at {TOPIC}[0]@0, {TOPIC}[0]@1"),
        (there(0, held=[held(0, 0)]), "intent 0 ended more than once: held, skipped DISCARDED"),
    ],
    ids=["arrived twice", "two outcomes"],
)
def test_an_order_that_was_not_taken_has_at_most_one_outcome(
    evidence: Evidence, said: str, state: str
) -> None:
    """A second one is named, whether the client heard a no or nothing."""
    assert {NOT_TAKEN: f"log:1 ({TOPIC}, {state}): {said}"} == broken_in(evidence, client(state))


def test_every_order_is_counted_under_its_rule() -> None:
    """So that a log that was not read cannot look like a clean one."""
    evidence = there(0)
    evidence.client_orders = [client("ok", 0), client("failed"), client("unknown", value=b"other")]
    found = judge_client_log(evidence, {})
    assert [(TAKEN, 1), (TAKEN_ONCE, 1), (NOT_TAKEN, 2)] == [(f.invariant, f.checked) for f in found]


def lines(*told: dict[str, Any] | str) -> str:
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in told)


def sent(order: str, **more: Any) -> dict[str, Any]:
    known = {"order": order, "state": "sent", "topic": TOPIC, "key": "key", "sha256": DIGEST, "intents": 1}
    return known | more


def test_a_log_gives_each_order_its_last_state(tmp_path: Path) -> None:
    """Named by the line that came before the publish; a line that is cut off tells nothing."""
    log = tmp_path / "log"
    log.write_text(
        lines(
            sent("a-0"),
            sent("a-1", key=None),
            {"order": "a-0", "state": "ok", "partition": 0, "offset": 5},
            '{"order": "a-1", "stat',
            sent("a-2", intents=2),
            {"order": "a-2", "state": "failed", "error": "no"},
        )
    )

    first = replace(client("ok", 5), where=f"{log}:1")
    second = replace(client("unknown"), where=f"{log}:2", key=None)
    third = replace(client("failed", intents=2), where=f"{log}:5")
    assert [first, second, third] == read_client_log(log)


@pytest.mark.parametrize(
    "last",
    [
        {"hello": "world"},
        [1, 2],
        sent("a-0"),
        ANSWERED,
        {"order": "a-1", "state": "ok", "partition": 0, "offset": 5},
        {"order": "a-0", "state": "ok"},
        {"order": "a-0", "state": "lost"},
        sent("a-1", sha256="zz"),
        sent("a-1", key=5),
    ],
    ids=[
        "another file",
        "a list",
        "sent twice",
        "answered twice",
        "never sent",
        "no place",
        "no such state",
        "no digest",
        "no key",
    ],
)
def test_a_file_that_is_no_clients_log_is_refused(tmp_path: Path, last: Any) -> None:
    """With the line, rather than being read as one without orders."""
    log = tmp_path / "log"
    log.write_text(lines(sent("a-0"), sent("a-9"), ANSWERED, last))

    with pytest.raises(ClientLogUnreadable, match="log:4 is not a line of a client's log"):
        read_client_log(log)
