"""What can go wrong with the local stack, always with what the operator does next."""

from __future__ import annotations


class StackError(Exception):
    """The local stack cannot do what was asked.

    ``message`` is one line that names the part and the cause; ``hint`` says what to do and may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}".rstrip())
        self.message = message
        self.hint = hint


class ArtifactError(StackError):
    """An artifact could not be had, or is not the locked one. Action: see the hint."""
