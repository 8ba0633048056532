"""What the demo shows: a line per step while it runs, then one table and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tierline.workload.summary import Summary

COLUMNS = (
    ("published", "published"),
    ("accepted", "accepted"),
    ("rejected", "rejected"),
    ("duplicates", "duplicate"),
    ("held", "held"),
    ("dead_lettered", "dead letter"),
)
MOST_REASONS = 6


class ConsoleScreen:
    """Progress on a terminal is one line that moves; elsewhere each title is printed when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Any = None
        self._title = ""

    def step(self, text: str) -> None:
        """Print one finished step."""
        self._end_bar()
        self._console.print(f" {text}", highlight=False)

    def progress(self, title: str, done: int, total: int) -> None:
        """Show how far a long step is; a finished one stays as a line."""
        if title != self._title:
            self._end_bar()
            self._title = title
            if self._console.is_terminal:
                self._bar = self._console.status(title)
                self._bar.start()
        if self._bar:
            self._bar.update(f"{title}  {done:,}/{total:,}")
        if done >= total:
            self._end_bar()
            self._console.print(f" {title:<24} {done:>6,}", highlight=False)
            self._title = f"{title} (done)"

    def _end_bar(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None


def show_summary(console: Console, summary: Summary) -> None:
    """The table, the reasons, and the promise."""
    console.print()
    console.print(_table(summary))
    _reasons(console, "why rejected", summary.why_rejected)
    _reasons(console, "why dead", summary.why_dead)
    totals = summary.totals
    console.print(
        f" of the accepted   {totals['completed']:,} completed · {totals['failed']:,} failed at payment"
        f" · {totals['superseded']:,} superseded by a newer order",
        highlight=False,
    )
    _promise(console, summary)


def _table(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=True, header_style="bold")
    table.add_column("channel")
    for _, title in COLUMNS:
        table.add_column(title, justify="right")
    for title in ("p50", "p95", "p99"):
        table.add_column(title, justify="right")
    for channel, row in summary.per_channel.items():
        table.add_row(channel, *_cells(row, row["latency_ms"]))
    whole = {"published": summary.published, **summary.totals}
    table.add_row("all", *_cells(whole, summary.latency_ms), style="bold")
    return table


def _cells(row: Mapping[str, Any], latency: Mapping[str, float | None]) -> list[str]:
    counts = [f"{row[name]:,}" for name, _ in COLUMNS]
    times = ["-" if latency[p] is None else f"{latency[p]:,.0f} ms" for p in ("p50", "p95", "p99")]
    return counts + times


def _reasons(console: Console, title: str, reasons: Counter[str]) -> None:
    if not reasons:
        return
    named = [f"{count} {reason}" for reason, count in reasons.most_common(MOST_REASONS)]
    rest = sum(reasons.values()) - sum(count for _, count in reasons.most_common(MOST_REASONS))
    text = " · ".join(named) + (f" · {rest} other" if rest else "")
    console.print(f" {title:<17} {text}", highlight=False, soft_wrap=True)


def _promise(console: Console, summary: Summary) -> None:
    report = summary.report
    verdict = f"LOST {summary.lost}" if summary.lost else "nothing lost"
    console.print(
        f" {verdict:<17} {summary.published:,} orders in = {summary.published - summary.lost:,} outcomes"
        f" · {summary.totals['tier_changes']:,} tier changes · {report.events:,} events",
        highlight=False,
    )
    if report.clean:
        console.print(
            f" verified          all {len(report.findings)} invariants hold, checked independently from the"
            " logs (tierline verify)",
            highlight=False,
        )
    else:
        broken = next(f for f in report.findings if not f.holds)
        console.print(f" [bold red]BROKEN[/]            {broken.invariant}: {broken.first}")
    first = summary.seconds_to_first_result
    if first is not None:
        console.print(f" first result      {first:.1f} s after the command", highlight=False)


def show_next(console: Console, commands: Sequence[tuple[str, str]]) -> None:
    """The commands, ready to be copied."""
    console.print("\n look next", style="bold")
    for what, command in commands:
        console.print(f"   {what:<16} {command}", highlight=False, soft_wrap=True, markup=False)
