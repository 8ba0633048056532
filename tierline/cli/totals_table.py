"""Three totals for people: the ways side by side, when one pays off, and the lines of the chosen way."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

from tierline.cli.quote_table import quote_table
from tierline.domain.billing_record import Record, moment_text, period_record, quote_record
from tierline.domain.calendar import Moment, local_date, zone_named
from tierline.domain.comparison import Comparison
from tierline.domain.money import Money
from tierline.domain.reasons import REASONS, ReasonCode
from tierline.domain.totals import Bill, BreakEven, Way, WayCost
from tierline.kit.money_text import format_money

TITLES = {Way.NOW: "now", Way.AT_RENEWAL: "at renewal", Way.ANNUAL: "now, yearly"}
CLAUSES = {
    Way.NOW: "changing now",
    Way.AT_RENEWAL: "waiting for the renewal",
    Way.ANNUAL: "taking the year now",
}


def comparison_view(found: Comparison, shown: Way, locale: str) -> list[Table | Text | str]:
    """What is asked, the totals, the break-even days, and the lines of the way ``shown``."""
    zone = zone_named(found.totals.zone)
    way = found.totals.way(shown)
    parts: list[Table | Text | str] = [_heading(found), "", _side_by_side(found, zone, locale), ""]
    parts += [Text(f" {sentence}") for sentence in _sentences(found)]
    if way is not None:
        parts += ["", Text(f" Lines of the change {TITLES[shown]}"), _lines(way, locale)]
    return [*parts, "", Text(" Nothing is stored and nothing is ordered.", style="dim")]


def comparison_record(found: Comparison) -> Record:
    """The same facts for programs, in minor units; ``total_minor`` sums the bills before ``until``."""
    zone, totals = zone_named(found.totals.zone), found.totals
    return {
        "account": found.account_id,
        "subscription": found.subscription_id,
        "current": {
            "plan": found.current.id,
            "seats": found.current_seats,
            "modules": list(found.current_modules),
        },
        "target": {"plan": found.plan.id, "seats": found.seats, "modules": list(found.choice.modules)},
        "notes": [{"code": str(note.code), "detail": note.detail} for note in found.choice.notes],
        "direction": found.direction.value,
        "currency": totals.currency,
        "catalog_version": found.catalog_version,
        "at": moment_text(totals.at, zone),
        "until": totals.until.isoformat(),
        "ways": {way.way.value: _way_record(found, way, zone) for way in totals.ways},
        "not_offered": {} if found.why_not_annual is None else {Way.ANNUAL.value: found.why_not_annual},
        "break_even": [
            {
                "way": pair.way.value,
                "against": pair.against.value,
                "date": None if pair.day is None else pair.day.isoformat(),
            }
            for pair in totals.break_even
        ],
    }


def _way_record(found: Comparison, way: WayCost, zone: ZoneInfo) -> Record:
    yearly = way.way is Way.ANNUAL
    return {
        "plan": found.annual.id if yearly and found.annual else found.plan.id,
        "offer": found.offer.id if yearly and found.offer else None,
        "first_bill": _bill_record(way.first, zone),
        "period": period_record(way.period, zone),
        "next_bill": _bill_record(way.following, zone),
        "total_minor": way.total_minor,
        "quote": quote_record(way.quote, zone),
    }


def _bill_record(bill: Bill, zone: ZoneInfo) -> Record:
    return {"date": moment_text(bill.at, zone), "amount_minor": bill.amount_minor}


def _heading(found: Comparison) -> Text:
    before = ", ".join((found.current.name, f"{found.current_seats:,} seats", *found.current_modules))
    after = ", ".join((found.plan.name, f"{found.seats:,} seats", *found.choice.modules))
    return Text.assemble(
        (f" {before} → {after}", "bold"),
        f"   {found.direction}   account {found.account_id}   subscription {found.subscription_id}",
    )


def _side_by_side(found: Comparison, zone: ZoneInfo, locale: str) -> Table:
    totals = found.totals
    table = Table(box=None, pad_edge=True, header_style="dim", padding=(0, 2, 0, 1))
    table.add_column("")
    for way in totals.ways:
        table.add_column(TITLES[way.way], justify="right")

    def money(minor: int) -> str:
        return format_money(Money(minor, totals.currency), locale)

    def row(title: str, *cells: str) -> None:
        table.add_row(title, *cells)

    row("plan", *(_plan(found, way) for way in totals.ways))
    row("new tier from", *(_day(way.first.at, zone) for way in totals.ways))
    row("first bill", *(money(way.first.amount_minor) for way in totals.ways))
    row("  pays until", *(_day(way.period.end, zone) for way in totals.ways))
    row("bill after that", *(money(way.following.amount_minor) for way in totals.ways))
    row(f"all bills before {totals.until}", *(money(way.total_minor) for way in totals.ways))
    if any(way.quote.credit_used_minor for way in totals.ways):
        row("account credit used", *(money(way.quote.credit_used_minor) for way in totals.ways))
    row("to pay today", *(money(_today(way)) for way in totals.ways))
    return table


def _today(way: WayCost) -> int:
    return 0 if way.way is Way.AT_RENEWAL else way.quote.due_minor


def _plan(found: Comparison, way: WayCost) -> str:
    if way.way is not Way.ANNUAL or found.annual is None or found.offer is None:
        return found.plan.id
    return f"{found.annual.id} -{found.offer.percent}%"


def _sentences(found: Comparison) -> list[str]:
    told = [_sentence(pair, found.totals.until) for pair in found.totals.break_even]
    if found.why_not_annual is not None:
        told.append(f"No annual discount: {found.why_not_annual}.")
    told += [f"{note.detail}: {REASONS[ReasonCode(note.code)].customer}" for note in found.choice.notes]
    return told


def _sentence(pair: BreakEven, until: date) -> str:
    way, against = CLAUSES[pair.way], CLAUSES[pair.against]
    if pair.day is None:
        return f"Before {until} {way} never costs less in total than {against}."
    return f"From {pair.day} on {way} has cost less in total than {against}."


def _lines(way: WayCost, locale: str) -> Table | str:
    return quote_table(way.quote, locale)


def _day(moment: Moment, zone: ZoneInfo) -> str:
    return local_date(moment, zone).isoformat()
