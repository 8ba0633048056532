"""Payloads and record headers as they are typed: files, standard input, name=value."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tierline.cli.errors import CommandError

if TYPE_CHECKING:
    from streams.reading.csv_contract import CsvContract
    from streams.reading.csv_file import CutFile

STANDARD_INPUT = "stdin.csv"


def headers_of(typed: Sequence[str] | None) -> tuple[tuple[str, bytes], ...]:
    """The headers typed as ``name=value``; a usage error for anything else."""
    return tuple(_header(text) for text in typed or ())


def payloads_in(files: Sequence[str], *, ndjson: bool) -> Iterator[bytes]:
    """The record values in ``files`` (``-``: standard input): each file, or each line that is not blank."""
    for name in files:
        if name != "-" and not Path(name).is_file():
            raise typer.BadParameter(f"no file {name}", param_hint="FILE")
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        yield from (line for line in content.splitlines() if line.strip()) if ndjson else (content,)


def rows_in(file: str, contract: CsvContract[Any]) -> tuple[str, CutFile]:
    """The name of a CSV file and its rows; a CommandError for a file that is no CSV of the channel."""
    from streams.reading.csv_file import FileRefused, cut

    [content] = payloads_in([file], ndjson=False)
    name = STANDARD_INPUT if file == "-" else Path(file).name
    try:
        return name, cut(content, contract)
    except FileRefused as refused:
        raise CommandError(f"{name} is refused as a whole: {refused.problem}.", refused.action) from None


def _header(text: str) -> tuple[str, bytes]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise typer.BadParameter(f"{text!r} is not name=value", param_hint="--header")
    return name, value.encode()
