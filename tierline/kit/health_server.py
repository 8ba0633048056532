"""What a worker answers over HTTP, from a thread of its own: a loop that is stuck cannot silence it.

/startupz /livez /readyz   200 or 503 and one line; with ?verbose JSON with every fact
/metrics                   for Prometheus
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from tierline.kit.health import Answer, Health

_REQUEST_S = 5.0
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"

_log = structlog.get_logger(__name__)

Reply = tuple[HTTPStatus, str, bytes]


class AddressTaken(Exception):
    """Nothing can listen where the worker was told to. ``action``: what the operator does."""

    def __init__(self, address: str, port: int, cause: OSError) -> None:
        self.message = f"cannot listen on {address}:{port} for health and metrics: {cause.strerror or cause}"
        self.action = "Set another TIERLINE_HEALTH_PORT (0: any free one) or TIERLINE_HEALTH_ADDRESS."
        super().__init__(f"{self.message}. {self.action}")


class HealthServer:
    """Serves as a context manager. ``facts``: what the JSON tells beside the health. Port 0: any free one."""

    def __init__(
        self, address: str, port: int, health: Health, registry: CollectorRegistry, facts: Mapping[str, Any]
    ) -> None:
        handler = type("Handler", (_Handler,), {"pages": _pages(health, registry, facts)})
        try:
            self._server = _Server((address, port), handler)
        except OSError as cause:
            raise AddressTaken(address, port, cause) from cause
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        _log.info("health_server", address=f"{self._server.server_address[0]!s}:{self.port}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    pages: ClassVar[Mapping[str, Callable[[_Handler], Reply]]] = {}
    timeout = _REQUEST_S

    def do_GET(self) -> None:
        page = self.pages.get(urlsplit(self.path).path)
        status, kind, body = page(self) if page else _unknown(self.pages)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    @property
    def is_verbose(self) -> bool:
        return "verbose" in parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Probes come every few seconds: they are no news."""


def _pages(
    health: Health, registry: CollectorRegistry, facts: Mapping[str, Any]
) -> dict[str, Callable[[_Handler], Reply]]:
    def probe(ask: Callable[[], Answer]) -> Callable[[_Handler], Reply]:
        def page(request: _Handler) -> Reply:
            answer = ask()
            status = HTTPStatus.OK if answer.ok else HTTPStatus.SERVICE_UNAVAILABLE
            if request.is_verbose:
                return status, _JSON, json.dumps({**facts, **health.to_json()}, indent=1).encode() + b"\n"
            return status, _TEXT, f"{answer}\n".encode()

        return page

    def metrics(request: _Handler) -> Reply:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return HTTPStatus.OK, kind, encode(registry)

    return {
        "/startupz": probe(health.started),
        "/livez": probe(health.live),
        "/readyz": probe(health.ready),
        "/metrics": metrics,
    }


def _unknown(pages: Mapping[str, object]) -> Reply:
    return HTTPStatus.NOT_FOUND, _TEXT, f"there are {' '.join(pages)}\n".encode()
