"""``tierline bench`` lists what the checkout can measure and runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tierline.cli import bench
from tierline.cli.commands import app
from tierline.cli.errors import CommandError
from tierline.kit.data_folder import ROOT

ASKING = '"""Question: how much is 2 + 2?\n\nRun it."""\n'


def checkout(folder: Path, **files: str) -> Path:
    """A checkout with these benchmarks."""
    (folder / "benchmarks").mkdir()
    for name, text in files.items():
        (folder / "benchmarks" / f"{name}.py").write_text(text)
    return folder


def test_every_question_of_the_checkout_is_listed() -> None:
    """Without a name nothing runs."""
    told = CliRunner().invoke(app, ["bench"])

    assert 0 == told.exit_code
    for name in ("decider", "end_to_end", "projector"):
        assert name in told.stdout
    assert "how many events a second does one projector take" in told.stdout


def test_what_takes_minutes_has_small_sizes() -> None:
    """``--quick`` makes a difference for every benchmark that starts servers."""
    for name, found in bench.find_benchmarks(ROOT).items():
        text = (ROOT / "benchmarks" / f"{name}.py").read_text()
        assert found.quick or not ("own_stack" in text or "LocalStack" in text), name


def test_a_file_that_asks_nothing_is_no_benchmark(tmp_path: Path) -> None:
    """What benchmarks share lies beside them."""
    root = checkout(tmp_path, sums=ASKING, shared='"""Figures."""\n')

    assert {"sums": bench.Benchmark("how much is 2 + 2?", ())} == bench.find_benchmarks(root)


@pytest.mark.parametrize(("option", "expected"), [((), "[]"), (("--quick",), "['--rounds', '1']")])
def test_a_benchmark_runs_in_the_checkout(
    option: tuple[str, ...],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As a module of its own process, with its small sizes when asked for."""
    text = f'{ASKING}import sys\nQUICK = ("--rounds", "1")\nprint(sys.argv[1:])\n'
    monkeypatch.setattr(bench, "ROOT", checkout(tmp_path, sums=text))
    told = CliRunner().invoke(app, ["bench", "sums", *option])

    assert 0 == told.exit_code
    assert f"{expected}\n" == capfd.readouterr().out


def test_a_benchmark_that_fails_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one does not begin, and the name is told."""
    text = f"{ASKING}raise SystemExit(3)\n"
    monkeypatch.setattr(bench, "ROOT", checkout(tmp_path, first=text, second=ASKING))
    told = CliRunner().invoke(app, ["bench", "--all"])

    assert isinstance(told.exception, CommandError)
    assert "first ended with exit code 3" in told.exception.message
    assert "── second" not in told.stdout


def test_an_unknown_name_is_a_wrong_use() -> None:
    """With the names that there are."""
    told = CliRunner().invoke(app, ["bench", "sums"])

    assert 2 == told.exit_code
    assert "projector" in told.output


def test_without_a_checkout_it_says_what_to_do(tmp_path: Path) -> None:
    """Benchmarks are not installed."""
    with pytest.raises(CommandError, match="make setup && make bench"):
        bench.find_benchmarks(tmp_path)
