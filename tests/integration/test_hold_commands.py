"""``tierline holds`` beside a running normalizer: what waits is shown, released, discarded."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.normalizer_bench import NormalizerBench
from tests.support.stack import environment_of
from tests.support.waiting import wait_for
from tierline.cli.commands import app
from tierline.cli.errors import CommandError
from tierline.kit.database import connect
from tierline.kit.records import Message
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack

Cli = Callable[..., str]


def order(reference: str, subscription: str, key: bytes | None) -> Message:
    """A portal order on partition 0."""
    payload = {"reference": reference, "subscription_id": subscription, "target": {"seats": 20}}
    return Message("orders.portal.v1", key, json.dumps(payload).encode(), 0)


@pytest.fixture
def bench(settings: Settings) -> NormalizerBench:
    """A normalizer that holds after a moment."""
    return NormalizerBench(settings, unknown_account_wait_ms=50)


@pytest.fixture
def cli(bench: NormalizerBench) -> Cli:
    """Runs a command on the test's database; what it refuses raises."""

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["holds", *arguments], env=environment_of(bench.settings))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return run


def test_what_waits_is_listed_shown_released_and_discarded(
    bench: NormalizerBench, cli: Cli, tmp_path: Path
) -> None:
    """Through the database, while the normalizer runs; every id printed can be given back."""
    assert "Nothing is held" in cli("list")
    bench.publish([order(f"r-{i}", "sub_late", b"k") for i in range(3)])
    bench.publish([order("r-3", "sub_other", None)])
    with bench.running(tmp_path):
        wait_for(lambda: bench.held() == 4, "four held records", 120)
        listed = cli("list")
        assert "portal: 4 records of 2 keys wait" in listed
        found = {hold["key"]: hold for hold in json.loads(cli("list", "--json"))["holds"]}
        assert ({"k", "sub_other"}, 3) == (set(found), found["k"]["records"])
        hold = found["k"]["hold_id"]
        assert hold[:8] in listed
        shown = cli("show", hold[:8])
        assert all(text in shown for text in ("sub_late", "r-0", "EARLIER_ORDER_WAITS", "holds discard"))
        assert "seats" not in shown
        assert '"seats": 20' in cli("show", hold[:8], "--payload", "full")

        assert "tried" in cli("release", hold[:8])
        assert 4 == bench.held()
        said = json.loads(cli("discard", hold, "--reason", "sent twice, INC-7", "--json"))
        assert said["result"].startswith("done")
        wait_for(lambda: bench.held() == 3, "the discarded record to leave", 60)
        assert "sent twice, INC-7" in cli("show", hold)
        assert "no such record" in cli("discard", hold, "--reason", "x", "--offset", "0")
        bench.know("late", "other")
        bench.wait_until_all_ended()

    assert ["r-1", "r-2"] == [c["source_ref"] for c in bench.commands() if c["account_id"] == "acc_late"]
    told = bench.told("portal")
    assert (4, 1) == (told.count("held"), told.count("discarded"))


def test_whoever_looks_at_held_records_unmasked_is_noted(
    bench: NormalizerBench, cli: Cli, tmp_path: Path
) -> None:
    """Each record that was shown, by its place; what is masked or not shown is not."""
    bench.publish([order(f"r-{i}", "sub_late", b"k") for i in range(3)])
    with bench.running(tmp_path):
        wait_for(lambda: bench.held() == 3, "three held records", 120)
    [found] = json.loads(cli("list", "--json"))["holds"]
    cli("show", found["hold_id"])
    with connect(bench.settings.database_url, "test") as connection:
        before = connection.execute("SELECT count(*) FROM deadletter.audit").fetchone()
        cli("show", found["hold_id"], "--payload", "full", "--most", "2", "--json")
        noted = connection.execute(
            'SELECT actor, action, hold_id::text, topic, partition, "offset" FROM deadletter.audit ORDER BY 6'
        ).fetchall()

    looked = (getpass.getuser(), "unmask", found["hold_id"], "orders.portal.v1", 0)
    assert (0,) == before
    assert [(*looked, 0), (*looked, 1)] == noted


def test_what_is_not_held_or_not_explained_is_refused(
    bench: NormalizerBench, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With what to do; and what nobody carries out is noted for the next start."""
    monkeypatch.setattr("tierline.cli.holds.ANSWER_S", 0.1)
    with pytest.raises(CommandError, match="Nothing is held under 00000000"):
        cli("show", "00000000")
    bench.publish([order("r-1", "sub_late", b"k")])
    with bench.running(tmp_path / "first"):
        wait_for(lambda: bench.held() == 1, "a held record", 120)
    [found] = json.loads(cli("list", "--json"))["holds"]
    with pytest.raises(CommandError, match="needs its reason"):
        cli("discard", found["hold_id"], "--reason", " ")
    with pytest.raises(CommandError, match="masked or full"):
        cli("show", found["hold_id"], "--payload", "all")
    assert "is noted" in cli("discard", found["hold_id"], "--reason", "INC-8")
    with bench.running(tmp_path / "second"):
        bench.wait_until_all_ended()
    assert ["held", "discarded"] == bench.told("portal")
