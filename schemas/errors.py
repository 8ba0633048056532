"""What can go wrong between a value and its bytes, and at the start of a worker.

SchemaError
├── EncodeError          a value does not fit its schema: a bug of the writer, nothing was written
├── DecodeError          these bytes will never be readable: dead-letter them (class ``decode``)
├── UnknownType          readable, but of a type this reader does not know: skip and count, or hold
├── UnsupportedSchema    an .avsc uses something the generated writer cannot do
└── StartRefused         what runs elsewhere disagrees with this release: a person decides
    ├── IncompatibleSchema
    ├── SchemaDisagreement
    ├── TopicMismatch
    ├── TopicReplaced
    ├── NotPrepared
    └── PartitionCountChanged
RegistryUnavailable      a ``tierline.kit.errors.NotForAll``: pause and wait, never an effect on records
"""

from __future__ import annotations

from enum import StrEnum

from tierline.kit.errors import NotForAll


class SchemaError(Exception):
    """The root of everything this room raises, but for the registry being away."""


class EncodeError(SchemaError):
    """A value does not fit its schema. Nothing was written. Correct the code that made the value.

    ``path`` is the dotted path of the field (``body.lines.0.amount_minor``), ``reason`` what is wrong there.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path or 'the record'}: {reason}")
        self.path = path
        self.reason = reason


class DecodeCode(StrEnum):
    """Why bytes cannot be read: the code of their dead letter."""

    BAD_MAGIC = "BAD_MAGIC"
    MALFORMED = "MALFORMED"
    NO_VALUE = "NO_VALUE"
    TRAILING_BYTES = "TRAILING_BYTES"
    TRUNCATED = "TRUNCATED"
    TYPE_DISAGREES = "TYPE_DISAGREES"
    UNKNOWN_SCHEMA_ID = "UNKNOWN_SCHEMA_ID"
    UNREADABLE_SCHEMA = "UNREADABLE_SCHEMA"


class DecodeError(SchemaError):
    """These bytes cannot be read, now or later: dead-letter them and find their producer.

    ``code`` is stable and carries no payload text; ``detail`` is one line for an operator.
    """

    def __init__(self, code: DecodeCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class UnknownType(SchemaError):
    """The record is sound, but a newer writer sent a type this reader does not know.

    Skip and count it, or store it generically; deploy a reader that knows ``type`` if it has to act on it.
    """

    def __init__(self, type_: str) -> None:
        super().__init__(f"type {type_!r} is not known to this reader: deploy the release that knows it")
        self.type = type_


class UnsupportedSchema(SchemaError):
    """An .avsc uses something the generated writer cannot do. Change the .avsc or teach the generator."""


class StartRefused(SchemaError):
    """What runs elsewhere disagrees with this release, so the worker does not start.

    ``message`` names both sides; ``action`` says what the operator does.
    """

    def __init__(self, message: str, action: str) -> None:
        super().__init__(f"{message}. {action}")
        self.message = message
        self.action = action


class IncompatibleSchema(StartRefused):
    """The registry says that a new schema cannot read what older writers wrote. Make the change additive."""


class SchemaDisagreement(StartRefused):
    """The registry gives an id or a text other than the one the event store was written with."""


class TopicMismatch(StartRefused):
    """A topic differs from its declaration in a way that cannot be altered under running readers."""


class TopicReplaced(StartRefused):
    """A topic that consumers have positions in was deleted and made again. Nothing is skipped silently."""


class NotPrepared(StartRefused):
    """Tables or topics that this release needs are not there yet. Run ``tierline prepare``, start again."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "Make what is missing: tierline prepare   Then start the worker again.")


class PartitionCountChanged(StartRefused):
    """The configured partition count is not the one the event store was written with."""


class RegistryUnavailable(NotForAll):
    """The schema registry is away or answers nonsense: wait with backoff; no record is to blame.

    Records under ids that are known need it not.
    """
