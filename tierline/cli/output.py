"""Printing: aligned columns for people, JSON for programs, plain and unwrapped when not on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what only tables need takes a tenth of a second to load
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

# Without a terminal nothing is cut: a pipe has no width.
PIPE_WIDTH = 1000


def console() -> Console:
    """Where a command prints its answer."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, highlight=False, soft_wrap=True)


def progress_console() -> Console:
    """Where a command says how far it is when its answer is JSON: stderr, so that stdout stays parsable."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value for a program."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print rows under headings; a heading that begins with ``>`` is aligned to the right."""
    print_drawn(table(columns, rows))


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], gap: int = 3) -> Table:
    """Rows under headings, ``gap`` blanks between columns; a heading with ``>`` is aligned to the right."""
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
    for heading in columns:
        right = heading.startswith(">")
        drawn.add_column(heading.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    return drawn


def print_drawn(picture: RenderableType) -> None:
    """Print what rich draws, without the blanks that it leaves at the ends of lines."""
    target = console()
    with target.capture() as drawn:
        target.print(picture)
    for line in drawn.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def size(count: int | None) -> str:
    """Bytes for people: ``212 MB``."""
    return "" if count is None else f"{count / 1e6:,.0f} MB"


def duration(seconds: int | None) -> str:
    """Seconds for people: ``42 s``, ``5 min``, ``3 h 20 min``, ``2 d 4 h``."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
