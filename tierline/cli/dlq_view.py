"""Dead letters for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.text import Text

from deadletter.groups import Group

SHORT = 8


def group_columns() -> Sequence[str]:
    """The headings of the list of groups."""
    return ("group", ">accounts", ">records", "first", "last", "cause", "version")


def group_row(group: Group) -> list[str | Text]:
    """One line of the list of groups."""
    unread = f" +{group.unread:,}?" if group.unread else ""
    return [
        group.fingerprint[:SHORT],
        f"{group.accounts:,}{unread}",
        f"{group.records:,}",
        moment(group.first_failed_at),
        moment(group.last_failed_at),
        cause_of(group),
        ", ".join(group.app_versions),
    ]


def cause_of(group: Group) -> Text:
    """Channel, class, code, and the place of it."""
    where = " ".join(part for part in (group.exception, group.field or group.function) if part)
    kind = f"{group.channel or 'no channel'} · {group.class_} · "
    return Text.assemble(kind, (group.code, "bold"), f" {where}" if where else "")


def groups_sentence(groups: Sequence[Group]) -> str:
    """What it comes to, and the next command."""
    if not groups:
        return "No dead letter is open."
    records = sum(group.records for group in groups)
    causes = "1 cause" if len(groups) == 1 else f"{len(groups)} causes"
    unread = "  +n?: records whose account cannot be read.\n" if any(g.unread for g in groups) else ""
    return (
        f"\n{records:,} open, {causes}, ranked by the accounts they touch.\n{unread}"
        f"Next: tierline dlq show {groups[0].fingerprint[:SHORT]}"
    )


def moment(at: datetime) -> str:
    """An instant to the minute, UTC."""
    return f"{at.astimezone(UTC):%m-%d %H:%M}"
