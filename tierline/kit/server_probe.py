"""Asks the servers that a worker needs for a sign of life, in a thread of its own, for its readiness."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import confluent_kafka
import psycopg
from confluent_kafka.admin import AdminClient

from tierline.kit.database import Connection
from tierline.kit.errors import Unavailable
from tierline.kit.health import Health

ASK_EVERY_S = 5.0
_KAFKA_S = 4.0

Ask = Callable[[], None]
"""Returns when the server answered; raises when it did not."""


class ServerProbe:
    """Asks every server of ``asks`` (by name) now and then, as a context manager."""

    def __init__(self, health: Health, asks: Mapping[str, Ask], every_s: float = ASK_EVERY_S) -> None:
        self._health = health
        self._asks = asks
        self._every_s = every_s
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=named, name=f"probe {named[0]}", daemon=True)
            for named in asks.items()
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """A thread whose server does not answer is left behind; it holds nothing that matters."""
        self._stopping.set()

    def _run(self, server: str, ask: Ask) -> None:
        while True:
            self.look(server, ask)
            if self._stopping.wait(self._every_s):
                return

    def look(self, server: str, ask: Ask) -> None:
        """Ask once."""
        self._health.asked(server)
        try:
            ask()
        except (psycopg.Error, confluent_kafka.KafkaException, Unavailable, OSError) as error:
            self._health.answered(server, str(error).strip().partition("\n")[0] or repr(error))
        else:
            self._health.answered(server)


class AskPostgres:
    """``SELECT 1`` in a session of its own, opened again after a failure."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._session: Connection | None = None

    def __call__(self) -> None:
        session = self._session or self._open()
        try:
            session.execute("SELECT 1")
        except psycopg.Error:
            self._session = None
            session.close()
            raise

    def _open(self) -> Connection:
        session = self._session = self._connect()
        session.autocommit = True
        return session


class AskKafka:
    """The list of brokers, from a client of its own."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    def __call__(self) -> None:
        if not self._admin.list_topics(timeout=_KAFKA_S).brokers:
            raise Unavailable("no broker is known")
