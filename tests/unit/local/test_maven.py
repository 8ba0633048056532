"""Maven coordinates."""

from __future__ import annotations

import pytest

from tierline.local.maven import Coordinate


@pytest.mark.parametrize(
    ("text", "filename"),
    [
        ("org.apache.kafka:kafka-clients:jar:4.3.1", "kafka-clients-4.3.1.jar"),
        ("io.apicurio:apicurio-registry-app:tar.gz:all:3.3.3", "apicurio-registry-app-3.3.3-all.tar.gz"),
    ],
)
def test_a_coordinate_is_read_as_it_is_written(text: str, filename: str) -> None:
    """The written form names one file, with or without a classifier."""
    coordinate = Coordinate.parse(text)
    assert text == str(coordinate)
    assert filename == coordinate.filename


@pytest.mark.parametrize("text", ["", "group:artifact:1.0", "a:b:c:d:e:f"])
def test_anything_else_is_refused(text: str) -> None:
    """A lock file that was edited by hand says where it is wrong."""
    with pytest.raises(ValueError, match="group:artifact:packaging"):
        Coordinate.parse(text)
