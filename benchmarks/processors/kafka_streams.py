"""A Kafka Streams topology of one thread, where a Java compiler and the jar are to be had."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.normalizer_hot_path import portal_order
from benchmarks.processors.assignment import Assignment
from benchmarks.processors.runners import NotToBeHad, Place, Runner, child
from benchmarks.processors.work import CHANNEL, SOURCE, rows_known, schema_id
from streams.reading.intent import PlanNames
from tierline import bootstrap
from tierline.domain.identity import NAMESPACE
from tierline.kit.settings import Settings
from tierline.kit.version import APP_VERSION
from tierline.local.artifacts import KAFKA_VERSION, ArtifactCache, Lock, cache_folder, sha256
from tierline.local.java import find_java
from tierline.local.maven import Coordinate, download

TOPOLOGY = "NormalizerTopology"
SOURCES = sorted(map(str, Path(__file__).parent.glob("*.java")))
STREAMS = Coordinate("org.apache.kafka", "kafka-streams", KAFKA_VERSION)
STREAMS_SHA256 = "bd73f3805e116f711e8456ee89a8a5b43ff5dcf5a5bb865afae29deae89e7c4b"
COMPILE_S = 120.0
WARM_S = 3.0
JVM = ("-Xms512m", "-Xmx1g", "-XX:+UseG1GC")


def streams_runner(folder: Path) -> Runner:
    """The runner, compiled into ``folder``; raises NotToBeHad."""
    compiler = shutil.which("javac")
    if compiler is None:
        raise NotToBeHad("no javac on this machine")
    try:
        jar = download(STREAMS, folder)
    except Exception as cause:
        raise NotToBeHad(f"{STREAMS} could not be fetched: {type(cause).__name__}") from cause
    if sha256(jar) != STREAMS_SHA256:
        raise NotToBeHad(f"{STREAMS} is not the file that this was written with")
    kafka = ArtifactCache(cache_folder(), Lock.read()).kafka_jars()
    java, classes = find_java(), folder / "classes"
    path = f"{classes}:{jar}:{kafka}/*"
    words = [
        compiler,
        "--release",
        "17",
        "-encoding",
        "UTF-8",
        "-cp",
        path,
        "-d",
        str(classes),
        *SOURCES,
    ]
    made = subprocess.run(  # noqa: S603 - our own command line
        words, capture_output=True, text=True, timeout=COMPILE_S, check=False
    )
    if made.returncode:
        raise NotToBeHad(f"the topology does not compile: {made.stderr}")

    @contextmanager
    def running(told: Assignment, place: Place) -> Iterator[int]:
        written = place.folder / f"{told.group}.json"
        written.write_bytes(msgspec.json.encode(_told(told, place)))
        start = (str(java.binary), *JVM, "-cp", path, TOPOLOGY, str(written))
        with child(start, "kafka_streams", place) as pid:
            yield pid

    runs_on = f"kafka-streams {KAFKA_VERSION}, Java {java.release}, {' '.join(JVM)}"
    return Runner("Kafka Streams, one thread", runs_on, running, extra_warm_s=WARM_S)


def _told(told: Assignment, place: Place) -> dict[str, object]:
    settings = place.settings
    with bootstrap.sessions(settings, "tierline-bench")() as connection:
        refs, schema = rows_known(connection), schema_id(connection)
    return {
        "assignment": told,
        "state": str(place.folder / f"{told.group}.state"),
        "topic": SOURCE,
        "schema_id": schema,
        "tenant_id": settings.tenant_id,
        "livemode": settings.livemode,
        "app_version": APP_VERSION,
        "namespace": NAMESPACE.hex,
        "plans": _plans(settings),
        "refs": [row for rows in refs.values() for row in rows],
    }


def _plans(settings: Settings) -> dict[str, str]:
    """The words for plans in the orders of the benchmark, and what the catalog calls them."""
    word = portal_order(0)["target"]["plan"]
    return {word: PlanNames(bootstrap.catalog(settings), CHANNEL)[word]}
