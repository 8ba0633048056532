"""Asks a server whether it serves: a metadata request, ``SELECT 1``, ``GET /subjects``."""

from __future__ import annotations

import http.client
import socket
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 2


def kafka_answers(bootstrap_servers: str) -> bool:
    """Tell whether a broker of the cluster answers a metadata request."""
    hosts = (server.rpartition(":") for server in bootstrap_servers.split(","))
    if not any(_is_listening(host, int(port)) for host, _, port in hosts):
        return False
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    quiet: dict[str, Any] = {"log_level": 0, "error_cb": lambda _: None}
    try:
        admin = AdminClient({"bootstrap.servers": bootstrap_servers, **quiet})
        return bool(admin.list_topics(timeout=ANSWER_TIMEOUT_S).brokers)
    except KafkaException:
        return False


def postgres_answers(url: str) -> bool:
    """Tell whether one can log in and ``SELECT 1``."""
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=ANSWER_TIMEOUT_S) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def registry_answers(url: str) -> bool:
    """Tell whether the schema registry lists its subjects."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/subjects")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _is_listening(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True
