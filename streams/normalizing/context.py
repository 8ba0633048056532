"""Account context: what references mean, read from ``oms.external_ref`` through a bounded cache.

The decider tells every change of that table on a channel of PostgreSQL; what is told is forgotten here and
looked up again when it is asked for. That a reference has no rows is remembered for a short time only.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import NamedTuple

import msgspec
import psycopg
import structlog

from deadletter.hold_requests import NOTIFY_CHANNEL as REQUESTS_CHANNEL
from streams.deciding.external_refs import NOTIFY_CHANNEL
from streams.normalizing.resolve import OWN_IDS, RefRow
from tierline.kit.database import Connection
from tierline.kit.retry import Backoff

_LISTEN_S = 0.2
_STOP_S = 6.0

Asked = tuple[str, str, str]
"""Channel, source and text of a reference."""

_log = structlog.get_logger(__name__)


class _Entry(NamedTuple):
    channel: str
    source: str
    rows: tuple[RefRow, ...]
    until_ms: int


_FOR_EVER = 1 << 62


class AccountContext:
    """The rows of references, ``capacity`` at most in memory. It lives on the event loop.

    ``look_up`` waits as long as the store is away. ``unknown_ms``: how long "no rows" is remembered.
    """

    def __init__(
        self,
        look_up: Callable[[Collection[Asked]], Awaitable[Iterable[RefRow]]],
        *,
        capacity: int,
        unknown_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._look_up = look_up
        self._capacity = capacity
        self._unknown_ms = unknown_ms
        self._now_ms = now_ms
        self._entries: dict[str, tuple[_Entry, ...]] = {}
        self._size = 0
        self._forgotten: set[str] = set()
        self._cleared = 0
        self._looking = 0

    def __len__(self) -> int:
        """Rows and "no rows" in memory."""
        return self._size

    async def rows(
        self, asked: Collection[Asked], *, doubt_unknown: bool = False
    ) -> dict[str, tuple[RefRow, ...]]:
        """The rows of ``asked``, by reference text; () where there are none.

        ``doubt_unknown`` looks up what was unknown a moment ago.
        """
        found, missing = self._known(asked, doubt_unknown=doubt_unknown)
        if missing:
            for one, rows in (await self._fetch(missing)).items():
                found[one[2]] = found.get(one[2], ()) + rows
        return found

    def known(self, asked: Collection[Asked]) -> dict[str, tuple[RefRow, ...]] | None:
        """As ``rows``, where all are in memory; None where the store has to be asked."""
        found, missing = self._known(asked, doubt_unknown=False)
        return None if missing else found

    def _known(
        self, asked: Collection[Asked], *, doubt_unknown: bool
    ) -> tuple[dict[str, tuple[RefRow, ...]], list[Asked]]:
        found: dict[str, tuple[RefRow, ...]] = {}
        missing: list[Asked] = []
        now = self._now_ms()
        entries = self._entries
        for one in asked:
            channel, source, ref = one
            for entry in entries.get(ref, ()):
                if entry.channel == channel and entry.source == source and entry.until_ms > now:
                    if doubt_unknown and not entry.rows:
                        missing.append(one)
                    else:
                        found[ref] = found[ref] + entry.rows if ref in found else entry.rows
                    break
            else:
                missing.append(one)
        return found, missing

    def forget(self, refs: Iterable[str]) -> None:
        """The rows of these references have changed."""
        for ref in refs:
            self._drop(ref)
            if self._looking:
                self._forgotten.add(ref)

    def clear(self) -> None:
        """Anything may have changed."""
        self._entries.clear()
        self._size = 0
        self._cleared += 1

    async def _fetch(self, missing: list[Asked]) -> dict[Asked, tuple[RefRow, ...]]:
        cleared = self._cleared
        self._looking += 1
        try:
            by_ref: dict[str, list[RefRow]] = {}
            for row in await self._look_up(missing):
                by_ref.setdefault(row.ref, []).append(row)
            found = {one: _rows_for(one, by_ref.get(one[2], ())) for one in missing}
            if self._cleared == cleared:
                self._remember({o: rows for o, rows in found.items() if o[2] not in self._forgotten})
            return found
        finally:
            self._looking -= 1
            if not self._looking:
                self._forgotten.clear()

    def _remember(self, found: dict[Asked, tuple[RefRow, ...]]) -> None:
        unknown_until = self._now_ms() + self._unknown_ms
        for (channel, source, ref), rows in found.items():
            others = tuple(
                e for e in self._entries.get(ref, ()) if (e.channel, e.source) != (channel, source)
            )
            self._drop(ref)
            entry = _Entry(channel, source, rows, _FOR_EVER if rows else unknown_until)
            self._entries[ref] = (*others, entry)
            self._size += sum(max(1, len(e.rows)) for e in self._entries[ref])
        while self._size > self._capacity:
            self._drop(next(iter(self._entries)))

    def _drop(self, ref: str) -> None:
        for entry in self._entries.pop(ref, ()):
            self._size -= max(1, len(entry.rows))


def _rows_for(asked: Asked, rows: Iterable[RefRow]) -> tuple[RefRow, ...]:
    channel, source, _ = asked
    return tuple(
        row for row in rows if row.channel == OWN_IDS or (row.channel == channel and row.source == source)
    )


class ContextChanges:
    """Listens, in a thread of its own, to what the decider tells about references, and people about holds.

    ``changed`` gets the references of one message, ``asked`` is called when a person asked something,
    ``lost`` when messages may have been missed: at every (re)connect. All are called in the listening thread.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        *,
        changed: Callable[[tuple[str, ...]], object],
        asked: Callable[[], object],
        lost: Callable[[], object],
    ) -> None:
        self._connect = connect
        self._changed = changed
        self._asked = asked
        self._lost = lost
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="context-changes", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; takes a few hundred ms."""
        self._stopping.set()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        backoff, failures = Backoff(), 0
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    connection.autocommit = True
                    for channel in (NOTIFY_CHANNEL, REQUESTS_CHANNEL):
                        connection.execute(f"LISTEN {channel}")
                    self._lost()
                    failures = 0
                    self._listen(connection)
            except psycopg.Error as error:
                failures += 1
                self._lost()
                _log.warning("context_changes_away", cause=repr(error), failures=failures)
                self._stopping.wait(backoff.wait_ms(failures) / 1000)

    def _listen(self, connection: Connection) -> None:
        while not self._stopping.is_set():
            for note in connection.notifies(timeout=_LISTEN_S):
                refs = refs_in(note.payload)
                if note.channel == REQUESTS_CHANNEL:
                    self._asked()
                elif refs is None:
                    self._lost()
                else:
                    self._changed(refs)


def refs_in(payload: str) -> tuple[str, ...] | None:
    """The reference texts that a message names; None when it does not say, or cannot be read."""
    try:
        named = msgspec.json.decode(payload, type=list[tuple[str, str, str]])
    except msgspec.DecodeError:
        return None
    return tuple(ref for _, _, ref in named)
