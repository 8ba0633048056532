"""Golden bytes: for each released version, records and the exact bytes they have on the wire, for ever.

``python -m schemas.golden_bytes`` writes ``schemas/golden/<subject>/v<N>.json`` for versions that have none;
run it once when a version is added and commit the file. What is there is never touched: if a test says that
it differs, the change is wrong, not the file. (``--rewrite`` starts over, before a version is released.)
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import fastavro

from schemas.avsc import (
    Schema,
    fingerprint_of,
    load_schema,
    named_types,
    record_at,
    simple_name,
    subjects,
    text_of,
    versions,
)

FOLDER = Path(__file__).parent / "golden"

TEXTS = ("plain", "", "Größe ✓", "🜁", "x" * 64)
INTS = (0, 1, -1, 63, 64, -64, -65, 8191, 8192, -8192, -8193, 2**31 - 1, -(2**31))
LONGS = (*INTS, 1_795_428_131_104, 2**42, 2**63 - 1, -(2**63))


@dataclass(frozen=True, slots=True)
class Golden:
    """One record of one version: its body is a plain dict, ``avro`` is the binary without a frame."""

    case: str
    record: Mapping[str, Any]
    avro: bytes


def file_of(subject: str, version: int) -> Path:
    """Where the golden bytes of a version are committed."""
    return FOLDER / subject / f"v{version}.json"


def read_golden(subject: str, version: int) -> tuple[str, tuple[Golden, ...]]:
    """The fingerprint of the schema they were written with, and the cases."""
    content = json.loads(file_of(subject, version).read_text("utf-8"))
    cases = (Golden(case["case"], case["record"], bytes.fromhex(case["avro"])) for case in content["cases"])
    return content["fingerprint"], tuple(cases)


def written(schema: Schema, record: Mapping[str, Any]) -> bytes:
    """The bytes of a golden record by fastavro; its ``type`` names the record of its body."""
    out = io.BytesIO()
    namespace = schema["name"].rpartition(".")[0]
    body = (f"{namespace}.{record['type']}", record["body"])
    fastavro.schemaless_writer(out, schema, {**record, "body": body})
    return out.getvalue()


def samples(schema: Schema) -> Iterator[tuple[str, dict[str, Any]]]:
    """Two records for each body: one with everything in it, one with nothing that can be left out."""
    named = named_types(schema)
    (bodies,) = (field["type"] for field in schema["fields"] if field["name"] == "body")
    for bare in (False, True):
        sampler = _Sampler(named, bare=bare)
        for branch in bodies:
            body = record_at(branch, named)
            if body is None:
                raise TypeError(f"the body of {schema['name']} may hold records only")
            fields = {f["name"]: sampler.value(f["type"]) for f in schema["fields"] if f["name"] != "body"}
            name = simple_name(body)
            fields |= {"type": name, "body": sampler.value(body)}
            yield f"{name}, {'bare' if bare else 'full'}", fields


class _Sampler:
    """Values by type, in a fixed order that goes through every edge."""

    def __init__(self, named: Mapping[str, Schema], *, bare: bool) -> None:
        self._named = named
        self._bare = bare
        self._texts, self._ints, self._longs = cycle(TEXTS), cycle(INTS), cycle(LONGS)
        self._booleans = cycle((True, False))

    def value(self, schema: Any) -> Any:
        record = record_at(schema, self._named)
        if record is not None:
            return {field["name"]: self.value(field["type"]) for field in record["fields"]}
        match schema:
            case {"type": "array", "items": items}:
                return [] if self._bare else [self.value(items), self.value(items)]
            case list(branches):
                return None if self._bare else self.value(branches[-1])
            case {"type": str(kind)} | str(kind):
                return self._scalar(kind)
            case _:
                raise TypeError(f"no samples for {schema!r}")

    def _scalar(self, kind: str) -> Any:
        values: dict[str, Iterator[Any]] = {
            "string": self._texts,
            "int": self._ints,
            "long": self._longs,
            "boolean": self._booleans,
        }
        return next(values[kind])


def write_golden(subject: str, version: int) -> Path:
    """Write the golden bytes of one version, one case a line."""
    schema = load_schema(subject, version)
    cases = [
        {"case": case, "record": record, "avro": written(schema, record).hex()}
        for case, record in samples(schema)
    ]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    file = file_of(subject, version)
    file.parent.mkdir(parents=True, exist_ok=True)
    fingerprint = fingerprint_of(text_of(subject, version))
    file.write_text(f'{{"fingerprint": "{fingerprint}", "cases": [\n{lines}\n]}}\n', "utf-8")
    return file


def main() -> None:
    """Write what is missing, or with ``--rewrite`` everything."""
    parser = argparse.ArgumentParser(description="Write golden bytes for schema versions that have none.")
    parser.add_argument("--rewrite", action="store_true", help="also over those that are there")
    rewrite = parser.parse_args().rewrite
    for subject in subjects():
        for version in versions(subject):
            if rewrite or not file_of(subject, version).exists():
                print(write_golden(subject, version).relative_to(FOLDER.parent))  # noqa: T201 - says what it did


if __name__ == "__main__":
    main()
