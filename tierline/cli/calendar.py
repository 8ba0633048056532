"""``tierline calendar``: the billing periods that an anchor leads to."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.cli.options import Json

if TYPE_CHECKING:
    from tierline.domain.calendar import Interval, Moment, Period


def calendar(
    anchor: Annotated[str, typer.Option(help="Billing day 1-31, or the date or instant to count from.")],
    start: Annotated[str, typer.Option(help="Start of the first period: a date, or an instant with offset.")],
    interval: Annotated[str, typer.Option(help="<n>day, week, month, quarter or year, such as 1month.")],
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many; a first stub counts.")] = 12,
    zone: Annotated[
        str | None, typer.Option(help="IANA time zone; adds the instants of each boundary. UTC without one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print billing periods. They return to the anchor day after a short month and never drift."""
    from tierline.cli.output import print_json, print_table
    from tierline.domain.calendar import check_moment, periods, zone_named
    from tierline.domain.refusal import InputRefused

    chosen_anchor, chosen_start, chosen_interval = (
        _anchor(anchor),
        _moment("--start", start),
        _interval(interval),
    )
    try:
        check_moment("start", chosen_start)
        if not isinstance(chosen_anchor, int):
            check_moment("anchor", chosen_anchor)
        local = zone_named(zone or "UTC")
        found = list(islice(periods(chosen_anchor, chosen_start, chosen_interval, local), count))
        check_moment("count", found[-1].end)
    except InputRefused as refused:
        hint = "--zone" if refused.field == "time_zone" else f"--{refused.field}"
        raise typer.BadParameter(refused.reason, param_hint=hint) from None
    except (OverflowError, ValueError):
        raise typer.BadParameter("the calendar ends before that many periods", param_hint="--count") from None
    rows = [_row(period, zone, by_instant=_has_instant(chosen_anchor, chosen_start)) for period in found]
    if as_json:
        print_json({"periods": rows})
    else:
        print_table([*rows[0]], [[*row.values()] for row in rows])


def _anchor(text: str) -> int | Moment:
    if not text.isdecimal() or not text.isascii():
        return _moment("--anchor", text)
    if not 1 <= int(text[:9]) <= 31:
        raise typer.BadParameter(f"{text} is not a day from 1 to 31", param_hint="--anchor")
    return int(text)


def _moment(option: str, text: str) -> Moment:
    from tierline.domain.fields import moment_from

    try:
        return moment_from(text)
    except ValueError:
        reason = (
            f"{text!r} is neither a date (2024-01-31) nor an instant with its offset (2024-01-31T09:00:00Z)"
        )
        raise typer.BadParameter(reason, param_hint=option) from None


def _interval(text: str) -> Interval:
    from tierline.domain.calendar import Interval

    try:
        return Interval.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--interval") from None


def _has_instant(*moments: int | Moment) -> bool:
    from datetime import datetime

    return any(isinstance(moment, datetime) for moment in moments)


def _row(period: Period, zone: str | None, *, by_instant: bool) -> dict[str, str]:
    from tierline.domain.billing_record import moment_text
    from tierline.domain.calendar import instant_of, zone_named

    local = zone_named(zone or "UTC")
    instants = [moment_text(instant_of(moment, local), local) for moment in (period.start, period.end)]
    if by_instant:
        return {"start": instants[0], "end": instants[1]}
    row = {"start": moment_text(period.start), "end": moment_text(period.end)}
    if zone is not None:
        row |= {"start_at": instants[0], "end_at": instants[1]}
    return row
