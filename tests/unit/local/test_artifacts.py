"""Locked artifacts: fetched once, checked against the lock, put into the cache whole or not at all."""

from __future__ import annotations

import re
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tierline.local.artifacts import KAFKA_VERSION, LOCK_FILE, ArtifactCache, Lock, cache_folder, sha256
from tierline.local.errors import ArtifactError
from tierline.local.maven import Coordinate

JAR = Coordinate("org.example", "broker", "1.0")
OTHER_JAR = Coordinate("org.example", "clients", "1.0")
ARCHIVE = Coordinate("org.example", "registry", "1.0", "tar.gz", "all")
Repository = Callable[[Coordinate, Path], Path]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Three files as a repository would serve them."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / JAR.filename).write_bytes(b"the broker")
    (folder / OTHER_JAR.filename).write_bytes(b"the clients")
    program = tmp_path / "quarkus-run.jar"
    program.write_bytes(b"the registry")
    with tarfile.open(folder / ARCHIVE.filename, "w:gz") as tar:
        tar.add(program, "quarkus-run.jar")
    return folder


@pytest.fixture
def lock(shelf: Path) -> Lock:
    """The lock of those three files."""
    digests = {c: sha256(shelf / c.filename) for c in (JAR, OTHER_JAR, ARCHIVE)}
    return Lock(kafka={c: digests[c] for c in (JAR, OTHER_JAR)}, registry={ARCHIVE: digests[ARCHIVE]})


class Serving:
    """A repository that serves the shelf and counts."""

    def __init__(self, shelf: Path) -> None:
        self.shelf = shelf
        self.served: list[Coordinate] = []

    def __call__(self, coordinate: Coordinate, repository: Path) -> Path:
        self.served.append(coordinate)
        repository.mkdir(exist_ok=True)
        copy = repository / coordinate.filename
        copy.write_bytes((self.shelf / coordinate.filename).read_bytes())
        return copy


def test_the_jars_of_the_lock_and_nothing_else_are_on_the_class_path(
    tmp_path: Path, shelf: Path, lock: Lock
) -> None:
    """The folder of the broker holds exactly the locked files."""
    jars = ArtifactCache(tmp_path / "cache", lock, Serving(shelf)).kafka_jars()
    assert {JAR.filename, OTHER_JAR.filename} == {file.name for file in jars.iterdir()}


def test_the_registry_is_unpacked(tmp_path: Path, shelf: Path, lock: Lock) -> None:
    """Its archive becomes a folder with the program in it."""
    home = ArtifactCache(tmp_path / "cache", lock, Serving(shelf)).registry_home()
    assert (home / "quarkus-run.jar").read_bytes() == b"the registry"


def test_what_is_in_the_cache_is_not_fetched_again(tmp_path: Path, shelf: Path, lock: Lock) -> None:
    """A second start needs no repository."""
    serving = Serving(shelf)
    ArtifactCache(tmp_path / "cache", lock, serving).kafka_jars()
    ArtifactCache(tmp_path / "cache", lock, serving).kafka_jars()
    assert [JAR, OTHER_JAR] == sorted(serving.served)


def test_two_starts_at_once_fetch_once(tmp_path: Path, shelf: Path, lock: Lock) -> None:
    """The second one waits for the first one's folder."""
    serving = Serving(shelf)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(ArtifactCache(tmp_path / "cache", lock, serving).registry_home) for _ in range(2)]
    assert both[0].result() == both[1].result()
    assert [ARCHIVE] == serving.served


def test_a_flipped_byte_is_refused_and_nothing_is_kept(tmp_path: Path, shelf: Path, lock: Lock) -> None:
    """A file that is not the locked one ends the start, names both digests, and leaves no folder behind."""
    jar = shelf / OTHER_JAR.filename
    content = bytearray(jar.read_bytes())
    content[3] ^= 1
    jar.write_bytes(content)
    cache = ArtifactCache(tmp_path / "cache", lock, Serving(shelf))
    with pytest.raises(ArtifactError) as refused:
        cache.kafka_jars()
    assert str(OTHER_JAR) in refused.value.message
    assert sha256(jar) in refused.value.message
    assert lock.kafka[OTHER_JAR] in refused.value.message
    assert not cache.is_installed()
    assert [] == [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_no_network_names_the_artifact_and_the_way_around_it(tmp_path: Path, lock: Lock) -> None:
    """One line says which artifact is missing; the hint names the settings for existing servers."""

    def unreachable(_coordinate: Coordinate, _repository: Path) -> Path:
        raise ConnectionError("no route to host")

    with pytest.raises(ArtifactError) as missing:
        ArtifactCache(tmp_path / "cache", lock, unreachable).registry_home()
    assert f"{ARCHIVE} could not be fetched: ConnectionError." == missing.value.message
    for variable in ("TIERLINE_KAFKA__BOOTSTRAP_SERVERS", "TIERLINE_DATABASE_URL", "TIERLINE_REGISTRY_URL"):
        assert variable in missing.value.hint


def test_after_the_first_failure_the_rest_is_not_tried(tmp_path: Path) -> None:
    """Without a network each file would cost a time-out."""
    tried = []
    network = threading.Event()

    def unreachable(coordinate: Coordinate, _repository: Path) -> Path:
        tried.append(coordinate)
        network.wait(timeout=0.1)  # it never comes back: this is what a time-out is
        raise TimeoutError

    many = {Coordinate("org.example", f"jar-{number}", "1.0"): "0" * 64 for number in range(500)}
    with pytest.raises(ArtifactError):
        ArtifactCache(tmp_path / "cache", Lock(kafka=many, registry={}), unreachable).kafka_jars()
    assert len(tried) < len(many)


def test_another_lock_means_another_folder(tmp_path: Path, shelf: Path, lock: Lock) -> None:
    """An upgrade never runs on the files of the release before."""
    cache = ArtifactCache(tmp_path / "cache", lock, Serving(shelf))
    before = cache.kafka_jars()
    fewer = Lock(kafka={JAR: lock.kafka[JAR]}, registry=lock.registry)
    assert before != ArtifactCache(tmp_path / "cache", fewer, Serving(shelf)).kafka_jars()


def test_the_lock_survives_writing_and_reading(tmp_path: Path, lock: Lock) -> None:
    """What is written is what is read."""
    lock.write(tmp_path / "lock.json")
    assert lock == Lock.read(tmp_path / "lock.json")


def test_the_committed_lock_pins_every_file_by_digest_and_names_no_address() -> None:
    """Each digest is a SHA-256, and no host can creep into the file."""
    committed = Lock.read()
    digests = [*committed.kafka.values(), *committed.registry.values()]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert "//" not in LOCK_FILE.read_text()


def test_every_part_of_kafka_has_the_same_version() -> None:
    """A resolver that lets another artifact's parent pin kafka-clients would mix releases."""
    versions = {c.version for c in Lock.read().kafka if c.group == "org.apache.kafka"}
    assert {KAFKA_VERSION} == versions


def test_the_cache_follows_the_xdg_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_CACHE_HOME decides; without it the home folder does."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tmp_path / "tierline" == cache_folder()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path / ".cache" / "tierline" == cache_folder()
