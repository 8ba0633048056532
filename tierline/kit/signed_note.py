"""Signed notes: short texts with Ed25519 signatures, in the format of transparency logs (C2SP signed-note).

A note is its text, a blank line, and a line per signature: ``— <key name> base64(key id ‖ signature)``. The
key id is the first four bytes of SHA-256(name ‖ newline ‖ 0x01 ‖ public key). A verifier key, which may be
shown to anybody, is written ``<name>+<key id in hex>+base64(0x01 ‖ public key)``; any tool for signed notes
reads both.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

ED25519 = b"\x01"
_NAME = re.compile(r"[^\s+]+")


class KeyUnusable(RuntimeError):
    """The file holds no key that can sign. Action: restore it, or make a new one: tierline checkpoint key."""


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A private key with the name under which it signs."""

    name: str
    _key: Ed25519PrivateKey

    @classmethod
    def create(cls, name: str, file: Path) -> Self:
        """Make a new key in ``file`` (PEM, PKCS #8), readable by its owner alone.

        Raises FileExistsError: a key is never replaced, what it signed could not be checked any more.
        """
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(pem)
        return cls(_checked(name), key)

    @classmethod
    def load(cls, name: str, file: Path) -> Self:
        """The key that ``create`` wrote. Raises KeyUnusable."""
        try:
            key = load_pem_private_key(file.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise KeyUnusable(f"{file} is not a private key: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnusable(f"{file} holds a {type(key).__name__}, checkpoints are signed with Ed25519")
        return cls(_checked(name), key)

    @property
    def verifier_key(self) -> str:
        """What others need to check the signatures; it is no secret."""
        public = self._public
        return f"{self.name}+{key_id(self.name, public).hex()}+{base64.b64encode(ED25519 + public).decode()}"

    def sign(self, text: str) -> str:
        """The note of ``text``, which ends with a line feed and has no empty line in it."""
        if not text.endswith("\n") or "\n\n" in text:
            raise ValueError("the text of a note ends with one line feed and has no empty line")
        signature = key_id(self.name, self._public) + self._key.sign(text.encode())
        return f"{text}\n— {self.name} {base64.b64encode(signature).decode()}\n"

    @property
    def _public(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(name: str, public_key: bytes) -> bytes:
    """The four bytes by which a signature line names its key."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:4]


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise KeyUnusable(f"{name!r} cannot name a key: no blanks and no plus sign, such as tierline.example")
    return name
