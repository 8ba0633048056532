"""The schema registry, by the Confluent REST protocol (Confluent Schema Registry, Apicurio, Karapace)."""

from __future__ import annotations

from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx2

from schemas.errors import IncompatibleSchema, RegistryUnavailable

COMPATIBILITY = "BACKWARD_TRANSITIVE"
TIMEOUT_S = 5.0
NOT_THERE = frozenset((40401, 40402, 40403))
"""No such subject, version or schema, said by the registry itself and not by a proxy before it."""


class Registry:
    """One registry at ``url`` (``http://host:port/apis/ccompat/v7`` for Apicurio).

    Every method raises RegistryUnavailable when the registry is away or gives an answer that is not its own.
    """

    def __init__(self, url: str, transport: httpx2.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._client = httpx2.Client(
            base_url=f"{self.url}/",
            timeout=TIMEOUT_S,
            transport=transport,
            mounts={"all://127.0.0.1": None, "all://localhost": None},  # never through a proxy
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def find(self, subject: str, text: str) -> int | None:
        """The id under which ``text`` is registered in ``subject``, None if it is not."""
        answer = self._ask("POST", f"subjects/{subject}", {"schema": text})
        return None if answer is None else self._number(answer, "id")

    def text_of(self, schema_id: int) -> str | None:
        """The schema of an id, None if the registry says that there is none."""
        answer = self._ask("GET", f"schemas/ids/{schema_id}")
        if answer is None:
            return None
        text = answer.get("schema")
        if not isinstance(text, str):
            raise RegistryUnavailable(f"{self.url} gave no schema for id {schema_id}")
        return text

    def require_compatibility(self, subject: str) -> None:
        """Make ``subject`` BACKWARD_TRANSITIVE: the registry compares with every older version."""
        level = self._ask("GET", f"config/{subject}")
        if level is None or level.get("compatibilityLevel") != COMPATIBILITY:
            self._ask("PUT", f"config/{subject}", {"compatibility": COMPATIBILITY})

    def register(self, subject: str, text: str) -> int:
        """Register ``text`` as the next version of ``subject`` and return its id.

        Call ``require_compatibility`` before. Raises IncompatibleSchema, with the registry's own words, for a
        schema that cannot read what every older version wrote.
        """
        response = self._send("POST", f"subjects/{subject}/versions", {"schema": text})
        if response.status_code in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise IncompatibleSchema(
                f"the registry refuses the next version of {subject}: {_message(response)}",
                "Give every new field a default and keep the fields of older versions, then start again.",
            )
        return self._number(self._answer(response) or {}, "id")

    def _ask(self, method: str, path: str, content: dict[str, str] | None = None) -> dict[str, Any] | None:
        return self._answer(self._send(method, path, content))

    def _send(self, method: str, path: str, content: dict[str, str] | None = None) -> httpx2.Response:
        try:
            return self._client.request(method, path, json=content)
        except httpx2.TransportError as error:
            raise RegistryUnavailable(f"{self.url} does not answer: {type(error).__name__}") from error

    def _answer(self, response: httpx2.Response) -> dict[str, Any] | None:
        """The answer's JSON object, None for what the registry says is not there."""
        content = _object(response)
        if response.status_code == HTTPStatus.NOT_FOUND and content.get("error_code") in NOT_THERE:
            return None
        if response.status_code != HTTPStatus.OK:
            answer = f"{response.status_code} ({_message(response)})"
            raise RegistryUnavailable(f"{self.url} answers {answer}: check that it is a registry")
        return content

    def _number(self, answer: dict[str, Any], name: str) -> int:
        number = answer.get(name)
        if type(number) is not int:
            raise RegistryUnavailable(f"{self.url} gave no {name}: check that it is a registry")
        return number


def _object(response: httpx2.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _message(response: httpx2.Response) -> str:
    return str(_object(response).get("message", "no message"))
