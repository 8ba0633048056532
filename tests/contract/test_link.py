"""The link that makes servers slow, silent or unreachable does what it says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.support.link import Link
from tests.support.waiting import wait_for

ANSWER_S = 10


@pytest.fixture
def echo() -> Iterator[str]:
    """The address of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(client: socket.socket) -> None:
            with client, suppress(ConnectionResetError):
                while chunk := client.recv(1024):
                    client.sendall(chunk)

        def accept() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def link(echo: str) -> Iterator[Link]:
    """A link to it."""
    with Link(echo) as link:
        yield link


def connected(link: Link) -> closing[socket.socket]:
    """A client of the link."""
    host, port = link.address.split(":")
    client = socket.create_connection((host, int(port)), ANSWER_S)
    return closing(client)


def says_nothing(client: socket.socket) -> bool:
    """Whether no byte comes for a moment."""
    client.settimeout(0.1)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(ANSWER_S)
    return False


def test_a_link_passes_both_directions(link: Link) -> None:
    """Bytes go there and come back, slowly or not."""
    with connected(link) as client:
        for latency_s in (0.0, 0.05):
            link.slow_down(latency_s)
            client.sendall(b"there")
            assert b"there" == client.recv(5, socket.MSG_WAITALL)


@pytest.mark.parametrize("only_answers", [False, True])
def test_a_silent_link_delivers_later_what_it_held(link: Link, only_answers: bool) -> None:
    """The connection stays, and nothing of it is lost."""
    with connected(link) as client:
        client.sendall(b"a")
        assert b"a" == client.recv(1)
        link.hold(only_answers=only_answers)
        client.sendall(b"b")
        assert says_nothing(client)
        link.restore()
        assert b"b" == client.recv(1)


def test_a_cut_link_ends_connections_until_it_is_restored(link: Link) -> None:
    """Old and new ones."""
    with connected(link) as client:
        client.sendall(b"a")
        assert b"a" == client.recv(1)
        link.cut()
        assert _ended(client)
    with connected(link) as client:
        assert _ended(client)
    link.restore()
    with connected(link) as client:
        client.sendall(b"b")
        assert b"b" == client.recv(1)


def test_a_reset_link_takes_new_connections(link: Link) -> None:
    """The old one hears of it as an error."""
    with connected(link) as client:
        client.sendall(b"a")
        assert b"a" == client.recv(1)
        link.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with connected(link) as client:
        client.sendall(b"b")
        assert b"b" == client.recv(1)
    assert 2 == link.accepted


def test_a_client_of_kafka_is_told_the_address_of_the_link() -> None:
    """In frames of the protocol, the target's address is replaced wherever it stands."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        told = b"\x00\x09127.0.0.1" + port.to_bytes(4, "big") + b"rest"
        with Link(f"127.0.0.1:{port}", kafka=True) as link, connected(link) as client:
            with closing(server.accept()[0]) as broker:
                broker.sendall(len(told).to_bytes(4, "big") + told)
                heard = client.recv(4 + len(told), socket.MSG_WAITALL)
            own = int(link.address.split(":")[1]).to_bytes(4, "big")
            wait_for(lambda: not link.connections, "the connection to end")

    assert len(told).to_bytes(4, "big") + b"\x00\x09127.0.0.1" + own + b"rest" == heard


def _ended(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
