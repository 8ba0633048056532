"""Maven coordinates, and the two things asked of Maven: what a root depends on, and one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

DOWNLOAD_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True, order=True)
class Coordinate:
    """One file in a Maven repository, written ``group:artifact:packaging[:classifier]:version``."""

    group: str
    artifact: str
    version: str
    packaging: str = "jar"
    classifier: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form; raises ValueError when it has another number of parts."""
        parts = text.split(":")
        if len(parts) not in (4, 5):
            raise ValueError(f"not group:artifact:packaging[:classifier]:version: {text}")
        group, artifact, packaging, *classifier, version = parts
        return cls(group, artifact, version, packaging, "".join(classifier))

    def __str__(self) -> str:
        middle = [self.packaging, self.classifier] if self.classifier else [self.packaging]
        return ":".join([self.group, self.artifact, *middle, self.version])

    @property
    def filename(self) -> str:
        """The file's name in a repository, e.g. ``kafka-clients-4.3.1.jar``."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{classifier}.{self.packaging}"


def download(coordinate: Coordinate, repository: Path) -> Path:
    """Fetch one file into the Maven-layout folder ``repository`` (or find it there) and return its path.

    Remote repositories come from jgo's own configuration file, Maven Central without one.
    """
    project = _context(repository).project(coordinate.group, coordinate.artifact)
    artifact = project.at_version(coordinate.version).artifact(coordinate.classifier, coordinate.packaging)
    return Path(artifact.resolve())


def resolve(roots: tuple[Coordinate, ...], repository: Path) -> list[Coordinate]:
    """Return the roots and everything they need at run time, without downloading the files themselves."""
    from jgo.parse import Coordinate as JgoCoordinate

    context = _context(repository)
    wanted = [
        context.create_dependency(JgoCoordinate(c.group, c.artifact, c.version, scope="compile"))
        for c in roots
    ]
    inputs, transitive = context.resolver.resolve(wanted)
    needed = [*inputs, *(d for d in transitive if d.scope in ("compile", "runtime"))]
    return [Coordinate(d.groupId, d.artifactId, d.version, d.type, d.classifier) for d in needed]


def _context(repository: Path) -> Any:
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    remotes = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    return MavenContext(repo_cache=repository, remote_repos=remotes, timeout=DOWNLOAD_TIMEOUT_S)
