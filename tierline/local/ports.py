"""Ports of the stacks of one user: kept over restarts where free, and never given to two stacks at once.

A port in use by a stack is held by a lock on ``<cache>/ports/<port>``; the kernel releases it with the
process, so nothing has to be cleaned up after a crash.
"""

from __future__ import annotations

import fcntl
import random
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tierline.local.errors import StackError

LOOPBACK = "127.0.0.1"
# Below the range from which Linux gives ports to outgoing connections, so a kept port stays free meanwhile.
RANGE = range(20_000, 32_000)
ATTEMPTS = 200


class PortBook:
    """Hands out ports and holds them until closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = ExitStack()

    def take(self, preferred: Iterable[int] = ()) -> int:
        """Return a free port and hold it: the first free one of ``preferred``, else a random one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for port in [*preferred, *random.sample(RANGE, ATTEMPTS)]:
            if self._hold(port):
                return port
        raise StackError(
            f"No free port found on {LOOPBACK} in {ATTEMPTS} tries between {RANGE.start} and {RANGE.stop}.",
            "See what listens there: ss -ltnp",
        )

    def _hold(self, port: int) -> bool:
        with ExitStack() as undo:
            handle = undo.enter_context((self._folder / str(port)).open("w"))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if not is_free(port):
                return False
            self._held.push(undo.pop_all())
            return True

    def close(self) -> None:
        """Let go of every port."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
