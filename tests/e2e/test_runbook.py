"""The runbook's commands, run in their order on a stack with dead letters and orders on hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.commands import ROOT, a_workplace, run
from tierline.kit.catalog_file import load_catalog
from tierline.workload.accounts import sample_subscriptions

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
POLICY = ROOT / "policy" / "eligibility.yaml"
ON_HOLD = ("held-1", "held-2")


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", RUNBOOK, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Path]:
    """A running stack on which one channel has sent what it should not, and two customers have not paid."""
    folder = a_workplace(tmp_path)
    (folder / "policy.yaml").write_text(POLICY.read_text().replace("arrears: reject", "arrears: hold"))
    for name in ("one", "two"):
        (folder / f"{name}.json").write_text(
            json.dumps({"reference": name, "subscription_id": f"sub_{name}"})
        )
    catalog = load_catalog(ROOT / "catalog" / "catalog.yaml")
    samples = sample_subscriptions(len(ON_HOLD), 1, datetime.now(UTC).date(), catalog, "held")
    with (folder / "subscriptions.ndjson").open("w") as lines, (folder / "orders.ndjson").open("w") as orders:
        for reference, sample in zip(ON_HOLD, samples, strict=True):
            lines.write(
                json.dumps(sample.line | {"standing": "arrears", "payment": "invoice", "contract": None})
                + "\n"
            )
            order = {"reference": reference, "subscription_id": sample.subscription_id}
            orders.write(json.dumps(order | {"target": {"seats": sample.seats + 1}}) + "\n")
    run("tierline up --detach", folder, TIERLINE_POLICY=str(folder / "policy.yaml"))
    try:
        run("tierline load --rate 20 --seconds 2", folder)
        run("tierline import subscriptions subscriptions.ndjson", folder)
        run("tierline publish --channel portal one.json two.json", folder)
        run("tierline publish --channel portal --ndjson orders.ndjson", folder)
        run("tierline verify --wait", folder)
        yield folder
    finally:
        run("tierline down", folder)


def id_for(command: str, folder: Path) -> str:
    """What a person would copy from the screen before: a dead letter, or an order that is still on hold."""
    if command.startswith("tierline dlq"):
        groups = json.loads(run("tierline dlq groups --json", folder))
        return str(groups[0]["example"])
    found = [
        json.loads(run(f"tierline orders find --channel portal --ref {reference} --json", folder))[0]
        for reference in ON_HOLD
    ]
    return str(next(order["order_id"] for order in found if order["state"] == "ON_HOLD"))


@pytest.mark.stack
@pytest.mark.timeout(1200)
def test_every_command_of_the_runbook_works(workplace: Path) -> None:
    """Each one succeeds, and tells what it should."""
    told: dict[str, list[str]] = {}
    for command in commands():
        typed = command.replace("ID", id_for(command, workplace)) if " ID" in command else command
        told.setdefault(command.split(" --reason")[0], []).append(run(typed, workplace))

    assert "2 contract" in told["tierline status"][0]
    assert "1 contract" in told["tierline status"][-1]
    assert "MISSING_FIELD" in told["tierline dlq groups"][0]
    assert '"reference"' in told["tierline dlq show ID --payload full"][0]
    assert 2 == told["tierline dlq export"][0].count("MISSING_FIELD")
    assert told["tierline dlq discard ID"][0].startswith("discarded ")
    assert "is COMPLETED" in told["tierline orders release ID"][0]
    assert "is REJECTED" in told["tierline orders reject ID"][0]
    assert all("clean" in said for said in told["tierline verify --wait"])
