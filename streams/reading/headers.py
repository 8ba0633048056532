"""The record headers that intake reads: who sent the record, and the trace it belongs to."""

from __future__ import annotations

import re

from streams.reading.refusal import Code, Refused
from tierline.kit.records import Headers

DEFAULT_SOURCE = "main"
UNREADABLE_SOURCE = "?"

_SOURCE = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
# W3C trace context, version 00.
_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def source_of(headers: Headers) -> str:
    """The sending instance: header ``source``, ``main`` without one.

    Raises ``Refused`` for a value that is no name, and for two that differ: which one counts decides
    whose order it is.
    """
    values = {value for name, value in headers if name == "source"}
    if not values:
        return DEFAULT_SOURCE
    value = values.pop()
    if values or not _SOURCE.fullmatch(value):
        raise Refused(Code.INVALID_SOURCE, "headers.source")
    return value.decode("ascii")


def traceparent_of(headers: Headers) -> str | None:
    """The header ``traceparent`` where it is well formed; a trace is never a reason to refuse an order."""
    for name, value in headers:
        if name == "traceparent" and _TRACEPARENT.fullmatch(value):
            return value.decode("ascii")
    return None
