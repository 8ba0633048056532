"""Apache Kafka and Apicurio Registry as locked Maven artifacts.

``artifacts.lock.json`` names every file and its SHA-256. A file is checked before it is put into the
cache (``XDG_CACHE_HOME/tierline``), which all data folders and test runs share. A folder appears there by
one rename when it is whole, so whoever sees it can use it.

``python -m tierline.local.artifacts lock`` resolves the roots again and rewrites the lock file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tierline.local import maven
from tierline.local.errors import ArtifactError
from tierline.local.maven import Coordinate

LOCK_FILE = Path(__file__).with_name("artifacts.lock.json")
KAFKA_VERSION = "4.3.1"
REGISTRY_VERSION = "3.3.3"
KAFKA_ROOTS = (
    Coordinate("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    Coordinate("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
)
LOG4J_CORE = ("org.apache.logging.log4j", "log4j-core")
LOG4J_BINDING = ("org.apache.logging.log4j", "log4j-slf4j-impl")
REGISTRY_ROOT = Coordinate("io.apicurio", "apicurio-registry-app", REGISTRY_VERSION, "tar.gz", "all")
DOWNLOADS_AT_ONCE = 8
EXISTING_SERVERS_HINT = (
    "The first start needs a Maven repository (a mirror goes into jgo's own configuration file). "
    "To use existing servers instead, set TIERLINE_KAFKA__BOOTSTRAP_SERVERS, TIERLINE_DATABASE_URL "
    "and TIERLINE_REGISTRY_URL."
)

Download = Callable[[Coordinate, Path], Path]
Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Lock:
    """Every file of both programs with its SHA-256 in hex, in class path order."""

    kafka: Mapping[Coordinate, str]
    registry: Mapping[Coordinate, str]

    @classmethod
    def read(cls, file: Path = LOCK_FILE) -> Self:
        """Read the committed lock file."""
        written = json.loads(file.read_text())
        return cls(
            kafka={Coordinate.parse(name): digest for name, digest in written["kafka"].items()},
            registry={Coordinate.parse(name): digest for name, digest in written["registry"].items()},
        )

    def write(self, file: Path = LOCK_FILE) -> None:
        """Write the lock file: coordinates and digests, no addresses."""
        content = {
            "kafka": {str(name): digest for name, digest in self.kafka.items()},
            "registry": {str(name): digest for name, digest in self.registry.items()},
        }
        file.write_text(json.dumps(content, indent=1) + "\n")


def cache_folder() -> Path:
    """The user's cache for Tierline: ``$XDG_CACHE_HOME/tierline``, else ``~/.cache/tierline``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tierline"


@dataclass(frozen=True, slots=True)
class ArtifactCache:
    """Gives the folders of the two programs, fetching what is not there yet."""

    folder: Path
    lock: Lock
    download: Download = maven.download

    def kafka_jars(self, notice: Notice = lambda _: None) -> Path:
        """Return the folder that holds exactly the locked jars of Kafka."""
        return self._installed(f"kafka-{KAFKA_VERSION}", self.lock.kafka, notice, shutil.move)

    def registry_home(self, notice: Notice = lambda _: None) -> Path:
        """Return the unpacked Apicurio Registry (holds ``quarkus-run.jar``)."""
        return self._installed(f"registry-{REGISTRY_VERSION}", self.lock.registry, notice, _unpack)

    def is_installed(self) -> bool:
        """Tell whether both programs are in the cache, so that a start needs no network."""
        return all(
            self._place(name, files).is_dir()
            for name, files in (
                (f"kafka-{KAFKA_VERSION}", self.lock.kafka),
                (f"registry-{REGISTRY_VERSION}", self.lock.registry),
            )
        )

    def _place(self, name: str, files: Mapping[Coordinate, str]) -> Path:
        fingerprint = hashlib.sha256("".join(files.values()).encode()).hexdigest()[:12]
        return self.folder / f"{name}-{fingerprint}"

    def _installed(
        self,
        name: str,
        files: Mapping[Coordinate, str],
        notice: Notice,
        add: Callable[[Path, Path], object],
    ) -> Path:
        place = self._place(name, files)
        if place.is_dir():
            return place
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / f"{name}.lock"):
            if place.is_dir():
                return place
            notice(f"fetching {name} ({len(files)} {'file' if len(files) == 1 else 'files'})")
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=f"{name}-") as scratch:
                whole = Path(scratch, "whole")
                whole.mkdir()
                for file in self._verified(files, Path(scratch, "repository")):
                    add(file, whole)
                whole.rename(place)
        return place

    def _verified(self, files: Mapping[Coordinate, str], repository: Path) -> Iterator[Path]:
        # After a failure ``map`` cancels what has not begun: without a network nothing waits once per file.
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            yield from pool.map(lambda item: self._fetch(item[0], item[1], repository), files.items())

    def _fetch(self, coordinate: Coordinate, expected: str, repository: Path) -> Path:
        try:
            file = self.download(coordinate, repository)
        except Exception as cause:
            raise ArtifactError(
                f"{coordinate} could not be fetched: {type(cause).__name__}.", EXISTING_SERVERS_HINT
            ) from cause
        actual = sha256(file)
        if actual != expected:
            raise ArtifactError(
                f"{coordinate} is not the locked file: SHA-256 {actual}, locked {expected}.",
                "The repository served other bytes than the ones this version was built with. "
                "Do not use them: try again, and if it stays, tell whoever runs your Maven mirror.",
            )
        return file


def sha256(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def resolve_lock(repository: Path) -> Lock:
    """Resolve the roots now and hash each file. The log4j binding has the version of the resolved log4j.

    The binding is added alone: resolved with the others, its parent would pin Kafka's own jars to other
    versions.
    """
    kafka = maven.resolve(KAFKA_ROOTS, repository)
    log4j = next(c for c in kafka if (c.group, c.artifact) == LOG4J_CORE)
    kafka.append(Coordinate(*LOG4J_BINDING, version=log4j.version))
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        digests = pool.map(lambda c: sha256(maven.download(c, repository)), [*kafka, REGISTRY_ROOT])
        locked = dict(zip([*kafka, REGISTRY_ROOT], digests, strict=True))
    registry = {REGISTRY_ROOT: locked.pop(REGISTRY_ROOT)}
    return Lock(kafka=locked, registry=registry)


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        # Python before 3.11.4 has no filters; the archive's digest was checked either way.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        tar.extractall(folder)  # noqa: S202 - filtered by the line above


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Entry point for maintainers: ``lock`` rewrites the lock file."""
    if arguments != ["lock"]:
        sys.stderr.write("usage: python -m tierline.local.artifacts lock\n")
        return 2
    with tempfile.TemporaryDirectory() as repository:
        resolve_lock(Path(repository)).write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
