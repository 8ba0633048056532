"""Payloads and record headers as they are typed: files, standard input, name=value."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer


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


def _header(text: str) -> tuple[str, bytes]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise typer.BadParameter(f"{text!r} is not name=value", param_hint="--header")
    return name, value.encode()
