"""What must hold for the data of a subscription that is opened; every failing field is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from tierline.domain.account import EXTERNAL, GATEWAY, INVOICE
from tierline.domain.billing import BASE_ITEM
from tierline.domain.billing_checks import check_billing
from tierline.domain.calendar import FIRST_YEAR, LAST_YEAR, check_moment, zone_named
from tierline.domain.catalog import Catalog, Plan
from tierline.domain.commands import Contract, InvoicedRow, OpenSubscription
from tierline.domain.eligibility import STANDING_ARREARS, STANDING_SUSPENDED
from tierline.domain.events import BilledItem, Reason
from tierline.domain.modes import Mode
from tierline.domain.module_choice import ModuleChoice, ModuleWish, choose_modules
from tierline.domain.moments import instant_of_ms, moment_of_text
from tierline.domain.proposal import MOST_SEATS
from tierline.domain.reasons import ReasonCode
from tierline.domain.refusal import InputRefused
from tierline.domain.schedule import billed_items, billing_of
from tierline.domain.subscription import Schedule
from tierline.domain.values import replace

STANDINGS = ("good", STANDING_ARREARS, STANDING_SUSPENDED)
PAYMENTS = (INVOICE, GATEWAY, EXTERNAL)
MOST_TERM_MONTHS = 1_200
ANY_CHANNEL = "*"

_MODES = tuple(mode.value for mode in Mode)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Opening:
    """What the data comes to: the plan and modules meant, and the schedule that will be in force."""

    plan: Plan
    modules: tuple[str, ...]
    features: tuple[str, ...]
    schedule: Schedule


def read_opening(body: OpenSubscription, catalog: Catalog) -> Opening | tuple[Reason, ...]:
    """The opening that the data describes, or every reason why it describes none."""
    plan = catalog.plan(body.plan)
    zone = _zone(body.time_zone)
    reasons = [*_terms(body, zone), *_plan(body, plan, catalog), *_contract(body.contract), *_refs(body)]
    billed = () if plan is None else _billed(body, plan, catalog)
    reasons += [reason for reason in billed if isinstance(reason, Reason)]
    items = tuple(item for item in billed if isinstance(item, BilledItem))
    unreadable = [*_rows(body), *_moments(body)]
    if unreadable or not items or zone is None or plan is None:
        return (*reasons, *unreadable)
    rows = None if body.invoiced is None else tuple(_row_of_plan(row, plan) for row in body.invoiced)
    schedule = Schedule(body.period_start, body.period_end, body.billing_day, None, items, rows)
    reasons += _billing(schedule, zone)
    modules = tuple(item.id for item in items if item.id != BASE_ITEM)
    return tuple(reasons) or Opening(plan, modules, catalog.features(plan, modules), schedule)


def _zone(name: str) -> ZoneInfo | None:
    try:
        return zone_named(name)
    except InputRefused:
        return None


def _terms(body: OpenSubscription, zone: ZoneInfo | None) -> Iterator[Reason]:
    if zone is None:
        yield _invalid("time_zone", f"{body.time_zone!r} is not an IANA time zone such as Europe/Berlin")
    if _COUNTRY.fullmatch(body.country) is None:
        yield _invalid("country", f"{body.country!r} is not an ISO 3166 code such as DE")
    if _CURRENCY.fullmatch(body.currency) is None:
        yield _invalid("currency", f"{body.currency!r} is not an ISO 4217 code such as EUR")
    if not body.segment:
        yield _invalid("segment", "is empty")
    if body.standing not in STANDINGS:
        yield _invalid("standing", f"{body.standing!r} is not one of {', '.join(STANDINGS)}")
    if body.payment not in PAYMENTS:
        yield _invalid("payment", f"{body.payment!r} is not one of {', '.join(PAYMENTS)}")


def _plan(body: OpenSubscription, plan: Plan | None, catalog: Catalog) -> Iterator[Reason]:
    if plan is None:
        yield Reason(ReasonCode.PLAN_UNKNOWN, f"plan: {body.plan!r} is not in catalog {catalog.version}")
    if not 1 <= body.seats <= MOST_SEATS:
        yield _invalid("seats", f"{body.seats} is not from 1 to {MOST_SEATS}")


def _billed(
    body: OpenSubscription, plan: Plan, catalog: Catalog
) -> tuple[BilledItem, ...] | tuple[Reason, ...]:
    """The plan and its modules at their price, or why they have none."""
    if plan.price(body.currency, body.seats) is None:
        known = _CURRENCY.fullmatch(body.currency)
        return (_invalid("currency", f"{plan.id} has no price in {body.currency!r}"),) if known else ()
    choice = choose_modules(catalog, plan, body.currency, (), ModuleWish(body.modules, complete=True))
    if not isinstance(choice, ModuleChoice):
        return choice
    if choice.notes:
        return tuple(_invalid("modules", note.detail) for note in choice.notes)
    items = catalog.items(plan, body.currency, body.seats, choice.modules)
    return () if items is None else billed_items(items, plan.mode)


def _contract(contract: Contract | None) -> Iterator[Reason]:
    if contract is None:
        return
    start, end = _day(contract.start), _day(contract.end)
    if start is None:
        yield _invalid("contract.start", f"{contract.start!r} is not a date such as 2026-01-31")
    if end is None:
        yield _invalid("contract.end", f"{contract.end!r} is not a date such as 2026-01-31")
    if start is not None and end is not None and end < start:
        yield _invalid("contract.end", f"the last day {contract.end} is before the start {contract.start}")
    if not 0 <= contract.minimum_term_months <= MOST_TERM_MONTHS:
        yield _invalid(
            "contract.minimum_term_months",
            f"{contract.minimum_term_months} is not from 0 to {MOST_TERM_MONTHS}",
        )
    if contract.minimum_spend_minor < 0:
        yield _invalid("contract.minimum_spend_minor", f"{contract.minimum_spend_minor} is below 0")


def _refs(body: OpenSubscription) -> Iterator[Reason]:
    for index, ref in enumerate(body.external_refs):
        if not ref.channel or ref.channel == ANY_CHANNEL or not ref.source or not ref.ref:
            yield _invalid(f"external_refs[{index}]", "needs a channel, a source and a reference")


def _rows(body: OpenSubscription) -> Iterator[Reason]:
    for index, row in enumerate(body.invoiced or ()):
        if not row.item:
            yield _invalid(f"invoiced[{index}].item", "is empty")
        if row.mode is not None and row.mode not in _MODES:
            yield _invalid(f"invoiced[{index}].mode", f"{row.mode!r} is not one of {', '.join(_MODES)}")


def _moments(body: OpenSubscription) -> Iterator[Reason]:
    """Instants outside the calendar, and text that is no moment."""
    try:
        opened_at = instant_of_ms(body.opened_at)
    except OverflowError:
        yield _invalid("opened_at", f"{body.opened_at} ms is outside the calendar")
    else:
        if not FIRST_YEAR <= opened_at.year <= LAST_YEAR:
            yield _invalid("opened_at", f"is outside the years {FIRST_YEAR} to {LAST_YEAR}")
    texts = {"period.start": body.period_start, "period.end": body.period_end}
    for index, row in enumerate(body.invoiced or ()):
        texts |= _texts_of_row(f"invoiced[{index}]", row)
    for field, text in texts.items():
        try:
            check_moment(field, moment_of_text(text))
        except InputRefused as refused:
            yield _invalid(field, refused.reason)
        except ValueError:
            yield _invalid(field, f"{text!r} is not a date such as 2026-01-31")


def _texts_of_row(field: str, row: InvoicedRow) -> dict[str, str]:
    texts = {f"{field}.start": row.start, f"{field}.end": row.end}
    for index, span in enumerate(row.credits):
        texts[f"{field}.credits[{index}].start"] = span.start
        texts[f"{field}.credits[{index}].end"] = span.end
    return texts


def _row_of_plan(row: InvoicedRow, plan: Plan) -> InvoicedRow:
    """A row that names no plan was invoiced for the one that is opened, or for its module.

    It is credited in the mode of the plan.
    """
    invoiced_for = plan.id if row.item == BASE_ITEM else row.item
    return replace(row, plan=row.plan or invoiced_for, mode=row.mode or plan.mode.value)


def _billing(schedule: Schedule, zone: ZoneInfo) -> Iterator[Reason]:
    try:
        check_billing(billing_of(schedule), zone)
    except InputRefused as refused:
        yield _invalid(refused.field.removeprefix("subscription."), refused.reason)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _invalid(field: str, reason: str) -> Reason:
    return Reason(ReasonCode.SUBSCRIPTION_DATA_INVALID, f"{field}: {reason}")
