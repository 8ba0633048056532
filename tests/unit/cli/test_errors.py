"""An error is one line that says what, and what to do."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import ValidationError

from deadletter.breaker_file import load_breaker_policy
from deadletter.hold_policy import load_hold_policy
from schemas.errors import PartitionCountChanged, RegistryUnavailable
from tierline.cli.errors import CommandError, Explanation, explain, show
from tierline.kit.catalog_file import load_catalog
from tierline.kit.policy_file import load_policy
from tierline.kit.settings import load_settings
from tierline.kit.yaml_nodes import YamlRefused
from tierline.local.errors import StackError


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings without a stack."""
    monkeypatch.chdir(tmp_path)


def told(error: Exception) -> Explanation:
    """The explanation, which must exist."""
    explanation = explain(error)
    assert explanation is not None
    return explanation


def test_our_own_errors_say_what_they_say() -> None:
    """Message and hint arrive as they were written."""
    assert Explanation("no such order", "look: tierline orders find") == told(
        CommandError("no such order", "look: tierline orders find")
    )
    assert Explanation("Kafka ended.", "see the log") == told(StackError("Kafka ended.", "see the log"))


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT])
def test_a_broker_that_is_away_is_named_with_the_way_out(code: int) -> None:
    """The address, how to start one, and the setting for another one."""
    explanation = told(KafkaException(KafkaError(code)))
    assert explanation.message == "Kafka at 127.0.0.1:19092 does not answer."
    assert "tierline up --detach" in explanation.hint
    assert "TIERLINE_KAFKA__BOOTSTRAP_SERVERS" in explanation.hint


def test_another_kafka_error_is_not_taken_for_an_outage() -> None:
    """A refused record is a fact about the record."""
    assert explain(KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))) is None


def test_a_database_that_is_away_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """What psycopg said comes with it, in one line."""
    monkeypatch.setenv("TIERLINE_DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/orders")
    explanation = told(psycopg.OperationalError("connection refused\nIs the server running?"))
    assert explanation.message == "PostgreSQL at 127.0.0.1:1/orders does not answer: connection refused"
    assert "TIERLINE_DATABASE_URL" in explanation.hint


def test_a_statement_that_the_database_refused_is_not_taken_for_an_outage() -> None:
    """It has an SQLSTATE: somebody answered."""
    assert explain(psycopg.errors.QueryCanceled("statement timeout")) is None


def test_a_registry_that_is_away_is_named() -> None:
    """The third server has its line too."""
    explanation = told(RegistryUnavailable("connection refused"))
    assert explanation.message.startswith("The schema registry at http://127.0.0.1:18081")
    assert "TIERLINE_REGISTRY_URL" in explanation.hint


def test_a_refused_start_says_what_the_operator_does() -> None:
    """The action of the error is the hint."""
    assert Explanation("12 is not 6", "set it back") == told(
        PartitionCountChanged("12 is not 6", "set it back")
    )


def test_wrong_settings_are_named_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them at once, as they are written in the environment."""
    monkeypatch.setenv("TIERLINE_TURN_EVRY_MS", "secret")
    monkeypatch.setenv("TIERLINE_KAFKA__LINGER_MS", "secret")
    with pytest.raises(ValidationError) as refused:
        load_settings()

    explanation = told(refused.value)
    assert "TIERLINE_TURN_EVRY_MS: there is no such setting" in explanation.message
    assert "TIERLINE_KAFKA__LINGER_MS: Input should be a valid integer" in explanation.message
    assert "secret" not in explanation.message
    assert "docs/settings.md" in explanation.hint


def test_a_broken_file_of_rules_is_named_by_its_lines(tmp_path: Path) -> None:
    """Holds, breakers, severities and prices alike: a worker that reads one ends with what to correct."""
    broken = tmp_path / "rules.yaml"
    broken.write_text("version: 0\nrule: {}\n")
    for load in (load_hold_policy, load_breaker_policy, load_policy, load_catalog):
        with pytest.raises(YamlRefused) as refused:
            load(broken)
        explanation = told(refused.value)
        assert explanation.message.startswith(f"{broken}:1: ")
        assert f"\n{broken}:2: " in explanation.message
        assert "Correct the file, then start again." == explanation.hint


def test_a_bug_keeps_its_traceback() -> None:
    """What nobody foresaw is not dressed up as advice."""
    assert explain(KeyError("subscription")) is None


def test_an_error_is_printed_on_stderr_and_indents_its_hint(capsys: pytest.CaptureFixture[str]) -> None:
    """Plain text when it is not a terminal, however long the line."""
    show(Explanation("x" * 200, "first\nsecond"))
    assert capsys.readouterr() == ("", f"error: {'x' * 200}\n  first\n  second\n")
