"""Talking to a registry: its no, its refusal, and everything that is not an answer of a registry."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from schemas.errors import IncompatibleSchema, RegistryUnavailable
from schemas.registry import Registry

URL = "http://registry.test/apis/ccompat/v7"


def answering(status: int, content: Any) -> Registry:
    """A registry that gives one answer to everything."""
    return Registry(URL, httpx2.MockTransport(lambda _: httpx2.Response(status, json=content)))


def recording(answers: dict[str, tuple[int, Any]]) -> tuple[Registry, list[str]]:
    """A registry with an answer per request, and the requests it got."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        line = f"{request.method} {request.url.path.removeprefix('/apis/ccompat/v7')}"
        asked.append(f"{line} {request.content.decode()}".rstrip())
        status, content = answers[line]
        return httpx2.Response(status, json=content)

    return Registry(URL, httpx2.MockTransport(answer)), asked


def test_a_text_is_asked_for_by_its_id() -> None:
    """Below the path of the URL, with or without a slash at its end."""
    registry, asked = recording({"GET /schemas/ids/7": (200, {"schema": '"string"'})})

    assert '"string"' == registry.text_of(7)
    assert ["GET /schemas/ids/7"] == asked
    assert URL == Registry(f"{URL}/").url


@pytest.mark.parametrize("code", [40401, 40403])
def test_what_the_registry_says_is_not_there_is_none(code: int) -> None:
    """Its own error code makes the difference."""
    registry = answering(404, {"error_code": code, "message": "not found"})

    assert registry.text_of(7) is None
    assert registry.find("s", "{}") is None


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (404, {"title": "no such path"}),
        (404, "not found"),
        (401, {"message": "who are you"}),
        (500, {"error_code": 50001, "message": "storage"}),
        (503, None),
        (200, []),
        (200, {"schema": 7}),
    ],
)
def test_an_answer_that_is_no_registrys_is_an_outage(status: int, content: Any) -> None:
    """No record is to blame for a proxy, a wrong URL or missing rights."""
    with pytest.raises(RegistryUnavailable, match=r"registry\.test"):
        answering(status, content).text_of(7)


def test_a_registry_that_does_not_answer_is_an_outage() -> None:
    """The error names where it was looked for."""

    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with pytest.raises(RegistryUnavailable, match=r"registry\.test.* does not answer: ConnectError"):
        Registry(URL, httpx2.MockTransport(refuse)).text_of(7)


@pytest.mark.parametrize("status", [409, 422])
def test_a_refused_version_tells_the_words_of_the_registry(status: int) -> None:
    """And what to do."""
    registry = answering(status, {"message": "needed at /fields/0", "error_code": status})

    with pytest.raises(IncompatibleSchema, match="needed at /fields/0") as refused:
        registry.register("oms.events.v1-value", "{}")

    assert "default" in refused.value.action


@pytest.mark.parametrize("level", [(404, {"error_code": 40401}), (200, {"compatibilityLevel": "NONE"})])
def test_a_subject_is_made_backward_transitive(level: tuple[int, Any]) -> None:
    """Whatever it was before."""
    registry, asked = recording({"GET /config/s": level, "PUT /config/s": (200, {})})

    registry.require_compatibility("s")

    assert ["GET /config/s", 'PUT /config/s {"compatibility":"BACKWARD_TRANSITIVE"}'] == asked


def test_a_subject_that_is_backward_transitive_is_left_alone() -> None:
    """A start only reads then."""
    registry, asked = recording({"GET /config/s": (200, {"compatibilityLevel": "BACKWARD_TRANSITIVE"})})

    registry.require_compatibility("s")

    assert ["GET /config/s"] == asked


def test_a_version_is_registered_as_text() -> None:
    """The id is what values are written with."""
    registry, asked = recording({"POST /subjects/s/versions": (200, {"id": 12})})

    assert 12 == registry.register("s", "{}")
    assert ['POST /subjects/s/versions {"schema":"{}"}'] == asked
