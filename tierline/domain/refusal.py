"""The one error of the money core: an input that cannot be right, named by its field."""

from __future__ import annotations


class InputRefused(ValueError):
    """An input outside its range. ``field`` is its path (``change.at``), ``reason`` says what would be right.

    Nothing was computed. Operator: correct the named field and ask again.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
