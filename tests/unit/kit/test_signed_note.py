"""Signed notes: the format of transparency logs, so that other tools can check ours and we theirs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tierline.kit.signed_note import KeyUnusable, NoteSigner
from tierline.verify.checkpoints import VerifierKey

TEXT = "oms.events.v1/3\n1000\nAAAA\n"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Where the key goes."""
    return tmp_path / "checkpoint.key"


def test_a_key_is_read_as_it_was_written(key_file: Path) -> None:
    """The same verifier key and the same signature; nobody else may read the file."""
    made = NoteSigner.create("tierline.test", key_file)
    read = NoteSigner.load("tierline.test", key_file)

    assert made.verifier_key == read.verifier_key
    assert made.sign(TEXT) == read.sign(TEXT)
    assert 0o600 == stat.S_IMODE(key_file.stat().st_mode)


def test_a_key_is_never_replaced(key_file: Path) -> None:
    """What it signed must stay checkable."""
    NoteSigner.create("tierline.test", key_file)
    before = key_file.read_bytes()

    with pytest.raises(FileExistsError):
        NoteSigner.create("tierline.test", key_file)
    assert before == key_file.read_bytes()


def test_a_verifier_key_names_its_own_key_id(key_file: Path) -> None:
    """What is printed is what the checker reads; its key id is recomputed there."""
    signer = NoteSigner.create("tierline.test", key_file)

    assert "tierline.test" == VerifierKey.parse(signer.verifier_key).name


@pytest.mark.parametrize("text", ["no line feed at the end", "two\n\nparagraphs\n", ""])
def test_a_text_that_would_be_read_otherwise_is_not_signed(key_file: Path, text: str) -> None:
    """An empty line separates the text from its signatures."""
    with pytest.raises(ValueError, match="ends with one line feed"):
        NoteSigner.create("tierline.test", key_file).sign(text)


@pytest.mark.parametrize("name", ["two words", "plus+sign", ""])
def test_a_name_that_breaks_the_format_is_refused(key_file: Path, name: str) -> None:
    """Blanks and plus signs separate the parts of keys and signature lines."""
    with pytest.raises(KeyUnusable, match="cannot name a key"):
        NoteSigner.create(name, key_file)


def test_another_kind_of_key_is_refused_by_name(key_file: Path) -> None:
    """The message says what it is and what is needed."""
    other = generate_private_key(SECP256R1())
    key_file.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    with pytest.raises(KeyUnusable, match="signed with Ed25519"):
        NoteSigner.load("tierline.test", key_file)


def test_a_file_without_a_key_is_named(key_file: Path) -> None:
    """Damaged or missing: the file stands in the message."""
    key_file.write_text("nothing")

    with pytest.raises(KeyUnusable, match=r"checkpoint\.key is not a private key"):
        NoteSigner.load("tierline.test", key_file)
    with pytest.raises(KeyUnusable, match="missing is not a private key"):
        NoteSigner.load("tierline.test", key_file.with_name("missing"))
