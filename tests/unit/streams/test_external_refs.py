"""What the normalizers hear about new references."""

import json

from streams.deciding.external_refs import NewRef, _payload


def test_the_payload_lists_channel_source_and_reference() -> None:
    """A listener forgets exactly these."""
    assert [["partner", "main", "PROD-1"]] == json.loads(
        _payload([NewRef("partner", "main", "subscription", "PROD-1", "acc", "sub")])
    )


def test_a_payload_that_notify_cannot_carry_is_empty() -> None:
    """PostgreSQL takes less than 8000 bytes; the empty payload means: forget every miss."""
    assert "" == _payload([NewRef("partner", "main", "subscription", f"P{n}", "a", "s") for n in range(400)])
