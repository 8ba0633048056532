"""What the demo shows: a line per step while it runs, then one table and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from tierline.workload.summary import Summary

COLUMNS = (
    ("published", "sent"),
    ("accepted", "accepted"),
    ("rejected", "rejected"),
    ("duplicates", "duplicate"),
    ("held", "held"),
    ("skipped", "skipped"),
    ("dead_lettered", "dead"),
)
TITLES = dict(COLUMNS)
PERCENTILES = ("p50", "p95", "p99")
MOST_REASONS = 6
HELD = {
    "unknown_account UNKNOWN_REFERENCE": "for an account that nobody has opened (UNKNOWN_REFERENCE)",
    "unknown_account EARLIER_ORDER_WAITS": "behind an earlier order of the same key (EARLIER_ORDER_WAITS)",
}


class ConsoleScreen:
    """Progress on a terminal is one line that moves; elsewhere each step is a line when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._moving: Status | None = None
        self._finished: set[str] = set()

    def step(self, text: str) -> None:
        """Print one finished step."""
        self._hold_still()
        self._console.print(f" {text}", highlight=False, soft_wrap=True)

    def progress(self, title: str, done: int, total: int) -> None:
        """Show how far a long step is; a finished one stays as a line."""
        if title in self._finished:
            return
        self._move(f"{title}  {done:,}/{total:,}")
        if done >= total:
            self._finished.add(title)
            self.step(f"{title}: {total:,}")

    def waiting(self, left: int) -> None:
        """Show how many records are still under way."""
        if left:
            self._move(f"waiting for the last outcomes: {left:,} records under way")
        else:
            self._hold_still()

    def _move(self, text: str) -> None:
        if not self._console.is_terminal:
            return
        if self._moving is None:
            self._moving = self._console.status(text)
            self._moving.start()
        self._moving.update(text)

    def _hold_still(self) -> None:
        if self._moving is not None:
            self._moving.stop()
            self._moving = None


def show_summary(console: Console, summary: Summary) -> None:
    """The table, the reasons, and the promise."""
    console.print()
    console.print(_table(summary))
    console.print(
        " p50, p95, p99: milliseconds from the broker's append of an order to its tier in PostgreSQL\n",
        style="dim",
        soft_wrap=False,
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column()
    for name, text in _facts(summary):
        facts.add_row(f" {name}", text)
    console.print(facts, highlight=False)


def _table(summary: Summary) -> Table:
    whole = {"published": summary.published, **summary.totals}
    columns = [name for name, _ in COLUMNS if whole[name] or name != "skipped"]
    table = Table(box=None, header_style="bold", pad_edge=True, padding=(0, 0, 0, 1))
    table.add_column("channel", no_wrap=True)
    for name in columns:
        table.add_column(TITLES[name], justify="right", no_wrap=True)
    for title in PERCENTILES:
        table.add_column(title, justify="right", no_wrap=True)
    for channel, row in summary.per_channel.items():
        table.add_row(channel, *_cells(columns, row, row["latency_ms"]))
    table.add_row("all", *_cells(columns, whole, summary.latency_ms), style="bold")
    return table


def _cells(columns: Sequence[str], row: Mapping[str, Any], latency: Mapping[str, float | None]) -> list[str]:
    counts = [f"{row[name]:,}" for name in columns]
    return counts + ["-" if latency[p] is None else f"{latency[p]:,.0f}" for p in PERCENTILES]


def _facts(summary: Summary) -> Iterator[tuple[str, str]]:
    totals, report = summary.totals, summary.report
    yield (
        "of the accepted",
        (
            f"{totals['completed']:,} completed · {totals['failed']:,} failed at payment"
            f" · {totals['superseded']:,} superseded by a newer order"
        ),
    )
    yield from _reasons("why rejected", summary.why_rejected)
    if summary.waited:
        yield (
            "late accounts",
            (
                f"{summary.waited:,} orders waited in order and went on when their accounts came, the longest"
                f" after {summary.longest_wait_s:,.0f} s (not in p50, p95, p99)"
            ),
        )
    yield from _reasons("why held", Counter({HELD.get(c, c): n for c, n in summary.why_held.items()}))
    yield from _reasons("why dead", summary.why_dead)
    yield from _reasons("why skipped", summary.why_skipped)
    verdict = f"LOST {summary.lost}" if summary.lost else "nothing lost"
    yield (
        verdict,
        (
            f"{summary.published:,} orders in = {summary.published - summary.lost:,} outcomes,"
            f" {totals['skipped']:,} of them skipped · {totals['tier_changes']:,} tier changes"
            f" · {report.events:,} events"
        ),
    )
    broken = next((found for found in report.findings if not found.holds), None)
    if broken is None:
        count = len(report.findings)
        yield "verified", f"all {count} invariants hold, recomputed from the logs (tierline verify)"
    else:
        yield "BROKEN", f"{broken.invariant}: {broken.first}"
    if summary.seconds_to_first_result is not None:
        yield "first result", f"{summary.seconds_to_first_result:.1f} s after the command"


def _reasons(title: str, reasons: Counter[str]) -> Iterator[tuple[str, str]]:
    if not reasons:
        return
    shown = reasons.most_common(MOST_REASONS)
    rest = sum(reasons.values()) - sum(count for _, count in shown)
    named = [f"{count} {reason}" for reason, count in shown] + ([f"{rest} other"] if rest else [])
    yield title, " · ".join(named)


def show_next(console: Console, commands: Sequence[tuple[str, str]]) -> None:
    """The commands, ready to be copied."""
    console.print("\n look next", style="bold")
    for what, command in commands:
        console.print(f"   {what:<16} {command}", highlight=False, soft_wrap=True, markup=False)
