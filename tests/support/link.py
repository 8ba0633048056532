"""A TCP link to a server that can be made slow, silent, cut off or reset. Listens on loopback only.

Kafka tells its clients where to connect; in what it answers over the link, its own address is replaced by the
link's, so that every connection of the client passes here.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

_HOST = "127.0.0.1"
_CHUNK = 64 * 1024
_CHUNKS_UNDER_WAY = 256
_ANSWER_S = 30
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
_GONE = (OSError, asyncio.IncompleteReadError)


class Link:
    """A way to ``target`` ("host:port") for as long as the block; ``address`` is where clients connect.

    ``kafka``: the target is a broker on loopback. A fault holds until ``restore``. ``accepted``: connections
    so far, those that ended at once included.
    """

    def __init__(self, target: str, *, kafka: bool = False) -> None:
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._kafka = kafka
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._server: asyncio.Server
        self._connections: dict[asyncio.Task[Any], list[asyncio.StreamWriter]] = {}
        self._latency_s = 0.0
        self._refusing = False
        self._requests_pass = asyncio.Event()
        self._answers_pass = asyncio.Event()
        self.address = ""
        self.accepted = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._on_loop(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._on_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def connections(self) -> int:
        """How many pass here now."""
        return len(self._connections)

    # --- faults -------------------------------------------------------------------------------------------

    def slow_down(self, latency_s: float) -> None:
        """What passes arrives ``latency_s`` later, in either direction; nothing is throttled."""
        self._latency_s = latency_s

    def hold(self, *, only_answers: bool = False) -> None:
        """Nothing passes (or no answers), and nobody is told: the connections stay."""
        if not only_answers:
            self._loop.call_soon_threadsafe(self._requests_pass.clear)
        self._loop.call_soon_threadsafe(self._answers_pass.clear)

    def cut(self) -> None:
        """All connections end, and new ones end at once."""
        self._refusing = True
        self._on_loop(self._end_connections())

    def reset(self) -> None:
        """All connections are reset (RST); new ones pass."""
        self._on_loop(self._reset_connections())

    def restore(self) -> None:
        """No fault any more; what was held passes."""
        self._latency_s, self._refusing = 0.0, False
        self._loop.call_soon_threadsafe(self._requests_pass.set)
        self._loop.call_soon_threadsafe(self._answers_pass.set)

    # --- on the link's own loop ---------------------------------------------------------------------------

    def _on_loop(self, step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(_ANSWER_S)

    async def _open(self) -> None:
        self._requests_pass.set()
        self._answers_pass.set()
        self._server = await asyncio.start_server(self._accepted, _HOST, 0)
        self.address = f"{_HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def _close(self) -> None:
        self._server.close()
        await self._end_connections()

    async def _end_connections(self) -> None:
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _reset_connections(self) -> None:
        for writers in self._connections.values():
            for writer in writers:
                plain = writer.get_extra_info("socket")
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        await self._end_connections()

    async def _accepted(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        connection = asyncio.current_task()
        if self._refusing or connection is None:
            client.transport.abort()
            return
        writers = self._connections.setdefault(connection, [client])
        try:
            answers, server = await asyncio.open_connection(*self._target)
            writers.append(server)
            passing = [
                asyncio.create_task(pump)
                for pump in (
                    self._pump(partial(_chunk, reader), server, self._requests_pass),
                    self._pump(partial(self._answer, answers), client, self._answers_pass),
                )
            ]
            try:
                await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in passing:
                    pump.cancel()
                await asyncio.gather(*passing, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # the target is away, or the link was cut
        finally:
            for writer in writers:
                writer.transport.abort()
            del self._connections[connection]

    async def _pump(
        self, read: Callable[[], Awaitable[bytes]], writer: asyncio.StreamWriter, passes: asyncio.Event
    ) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_UNDER_WAY)
        reading = asyncio.create_task(self._read_all(read, under_way))
        try:
            while True:
                due, chunk = await under_way.get()
                if not chunk:
                    return
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await passes.wait()
                writer.write(chunk)
                await writer.drain()
        finally:
            reading.cancel()

    async def _read_all(
        self, read: Callable[[], Awaitable[bytes]], under_way: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        with suppress(*_GONE):
            while chunk := await read():
                await under_way.put((self._loop.time() + self._latency_s, chunk))
        await under_way.put((0.0, b""))

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        if not self._kafka:
            return await _chunk(reader)
        length = await reader.readexactly(4)
        answer = await reader.readexactly(int.from_bytes(length))
        return length + answer.replace(_as_told(*self._target), _as_told(*self.address.split(":")))


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    return await reader.read(_CHUNK)


def _as_told(host: str, port: int | str) -> bytes:
    """How Kafka tells an address: the host, then the port as int32."""
    return host.encode() + struct.pack(">i", int(port))
