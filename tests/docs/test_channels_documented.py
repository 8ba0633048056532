"""docs/channels.md is executed: its payloads, its command, its table of refusals and its worked example."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from streams.answering.reply import Reply, ReplyAmounts
from streams.normalizing.resolve import Resolved, resolve_record
from streams.pipeline import CHANNELS, Channel, read_intents
from streams.reading.intent import PlanNames, Reading, Unreadable
from streams.reading.refusal import MEANINGS
from streams.subscription_import import read_line
from tests.support.channel_examples import PLANS, ROWS
from tierline.cli import main
from tierline.kit.records import Record

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "channels.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```(?:json|csv) (\w+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"```\n\$ tierline (.*?)\n(.*?)```", PAGE, re.DOTALL)
[MODULE] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def read(channel: Channel, payload: str) -> Reading | Unreadable:
    """What the channel reads in a payload of the page."""
    record = Record(channel.topic.name, 0, 7, 1_795_435_200_000, None, payload.encode())
    return read_intents(channel, record, PlanNames(PLANS, channel.name))


@pytest.fixture
def kiosk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Channel:
    """The channel that the page adds, imported from a file of its own."""
    (tmp_path / "kiosk.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "kiosk", raising=False)
    module = import_module("kiosk")
    return Channel("kiosk", module.CONTRACT, module.intents)


def test_every_channel_is_on_the_page() -> None:
    """With its topic and a link to its schema that leads somewhere."""
    for name, channel in CHANNELS.items():
        assert f"| `{name}` | `{channel.topic.name}` |" in PAGE
        assert f"(schemas/{name}.schema.json)" in PAGE
        assert (ROOT / "docs" / "schemas" / f"{name}.schema.json").exists()


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_payload_on_the_page_is_a_good_order(channel: str) -> None:
    """It is understood, and what it names is known."""
    reading = read(CHANNELS[channel], BLOCKS[channel])

    assert isinstance(reading, Reading)
    assert (Resolved("acc_204", "sub_88"),) == resolve_record(reading.intents, ROWS)


@pytest.mark.parametrize(("arguments", "expected"), COMMANDS)
def test_the_command_on_the_page_prints_what_stands_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str, expected: str
) -> None:
    """Copied from the page into a terminal, it gives the text below it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["tierline", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()

    assert not ended.value.code
    assert expected == capsys.readouterr().out


def test_every_refusal_is_on_the_page() -> None:
    """Each code with its class and its text; none that does not exist."""
    expected = {f"| `{code}` | {kind} | {text} |" for code, (kind, text) in MEANINGS.items()}
    section = PAGE.partition("## Refusals")[2].partition("\n## ")[0]

    assert expected == set(re.findall(r"^\| `[A-Z].*$", section, re.MULTILINE))


def test_the_reply_on_the_page_has_the_fields_of_a_reply() -> None:
    """All of them and no others."""
    reply = json.loads(BLOCKS["reply"])

    assert ["reply_id", *(field.name for field in fields(Reply))] == list(reply)
    assert [field.name for field in fields(ReplyAmounts)] == list(reply["amounts"])


def test_the_import_line_on_the_page_can_be_imported() -> None:
    """It opens the subscription that the other examples upgrade."""
    line = read_line(1, json.dumps(json.loads(BLOCKS["import"])).encode())

    assert ("acc_204", "sub_88") == (line.account_id, line.subscription_id)


def test_the_added_channel_reads_its_orders(kiosk: Channel) -> None:
    """The worked example works as it stands."""
    reading = read(kiosk, BLOCKS["kiosk"])

    assert isinstance(reading, Reading)
    [intent] = reading.intents
    assert ("K-17", "sub_88", 20, 0) == (
        intent.reference,
        intent.subscription_ref,
        intent.seats,
        reading.unknown_fields,
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ticket": 17}, ("WRONG_TYPE", "ticket")),
        ({"workspace": None}, ("MISSING_FIELD", "workspace")),
        ({"seats": 10**30}, ("INTEGER_TOO_LARGE", "seats")),
        ({"seats": float("nan")}, ("NOT_A_NUMBER", "seats")),
    ],
)
def test_the_added_channel_refuses_as_every_channel_does(
    kiosk: Channel, change: dict[str, Any], expected: tuple[str, str]
) -> None:
    """Nothing of it had to be written."""
    reading = read(kiosk, json.dumps({**json.loads(BLOCKS["kiosk"]), **change}))

    assert isinstance(reading, Unreadable)
    assert expected == (reading.dead.code, reading.dead.field)


@pytest.fixture(scope="module")
def copy_with_kiosk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree to which the page was applied to the letter: one file, one row, one folder."""
    copy = tmp_path_factory.mktemp("kiosk")
    for name in ("schemas", "streams", "deadletter", "projections", "tierline", "tests", "catalog", "policy"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "streams" / "channels" / "kiosk.py").write_text(MODULE)
    table = copy / "schemas" / "topics.py"
    [row] = re.findall(r"\*\*2\. The row\*\*.*?```\n(.*?)```", PAGE, re.DOTALL)
    before, rows, after = re.split(
        r"(^CHANNELS = \(\n.*?)(?=^\))", table.read_text(), flags=re.DOTALL | re.MULTILINE
    )
    table.write_text(f"{before}{rows}{row}{after}")
    folder = copy / "schemas" / "examples" / "kiosk"
    folder.mkdir()
    order = json.loads(BLOCKS["kiosk"])
    payloads = {
        "more-seats": order,
        "ticket-number": order | {"ticket": 17},
        "nobody": order | {"workspace": "x"},
    }
    for case, payload in payloads.items():
        (folder / f"{case}.json").write_text(json.dumps(payload))
    (folder / "cut-short.json").write_text(BLOCKS["kiosk"][:20])
    done = _python(copy, "-m", "tests.support.channel_examples")
    assert "4 results changed" in done.stdout, done.stderr
    return copy


def _python(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_channel_takes_one_file_one_row_and_one_folder(copy_with_kiosk: Path) -> None:
    """Its tests pass, those of its publication apart."""
    tests = ("test_channel_table.py", "test_examples.py", "test_pipeline.py")
    done = _python(
        copy_with_kiosk,
        *("-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"),
        *(f"tests/unit/streams/{name}" for name in tests),
        *("-k", "(kiosk or row) and not schema"),
    )

    assert 0 == done.returncode, done.stdout
    assert re.search(r"\b2\d passed", done.stdout.splitlines()[-1])


def test_an_added_channel_has_topics_and_can_be_validated(copy_with_kiosk: Path) -> None:
    """Orders, replies and dead letters, without another line anywhere."""
    listed = _python(
        copy_with_kiosk, "-c", "from schemas.topics import *; print([t.name for t in all_topics()])"
    ).stdout
    told = _python(
        copy_with_kiosk,
        *("-m", "tierline.cli", "validate", "--channel", "kiosk", "schemas/examples/kiosk/more-seats.json"),
    )

    assert {"orders.kiosk.v1", "orders.kiosk.replies.v1", "orders.kiosk.v1.tierline-normalizer.dlq"} <= set(
        re.findall(r"'([^']+)'", listed)
    )
    assert "K-17 from main" in told.stdout, told.stderr
