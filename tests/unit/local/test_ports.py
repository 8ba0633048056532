"""Ports: kept where free, and never given to two stacks."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tierline.local.errors import StackError
from tierline.local.ports import LOOPBACK, RANGE, PortBook, is_free


@pytest.fixture
def free_port(tmp_path: Path) -> int:
    """A port that nobody uses."""
    with PortBook(tmp_path / "probe") as book:
        return book.take()


def test_a_preferred_port_is_kept_while_it_is_free(tmp_path: Path, free_port: int) -> None:
    """A stack comes back where its clients expect it."""
    with PortBook(tmp_path) as book:
        assert free_port == book.take([free_port])


def test_a_port_in_use_is_passed_over(tmp_path: Path, free_port: int) -> None:
    """Somebody else's server is not disturbed."""
    with socket.socket() as server, PortBook(tmp_path) as book:
        server.bind((LOOPBACK, free_port))
        server.listen()
        assert not is_free(free_port)
        assert free_port != book.take([free_port])


def test_two_stacks_that_start_together_do_not_get_the_same_port(tmp_path: Path, free_port: int) -> None:
    """A port is held from the moment it is chosen, before anything listens on it."""
    with PortBook(tmp_path) as one, PortBook(tmp_path) as other:
        assert free_port == one.take([free_port])
        assert free_port != other.take([free_port])


def test_a_closed_book_lets_go(tmp_path: Path, free_port: int) -> None:
    """A stopped stack leaves its ports to the next one."""
    with PortBook(tmp_path) as one:
        one.take([free_port])
    with PortBook(tmp_path) as other:
        assert free_port == other.take([free_port])


def test_a_random_port_lies_below_those_of_outgoing_connections(tmp_path: Path) -> None:
    """Otherwise a kept port could be taken by any client while the stack is down."""
    with PortBook(tmp_path) as book:
        assert book.take() in RANGE


def test_no_free_port_says_where_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search is bounded."""
    monkeypatch.setattr("tierline.local.ports.is_free", lambda _: False)
    with PortBook(tmp_path) as book, pytest.raises(StackError, match="No free port") as none:
        book.take()
    assert "ss -ltnp" in none.value.hint
