"""A quote for people: one row per line with its arithmetic, then what it comes to."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from tierline.domain.billing_record import moment_text
from tierline.domain.calendar import zone_named
from tierline.domain.lines import Line
from tierline.domain.money import Money, round_ratio
from tierline.domain.quote import Quote
from tierline.kit.money_text import format_exact, format_money

NO_LINES = "Nothing is charged or credited now."


def quote_table(quote: Quote, locale: str) -> Table | str:
    """Credits and charges; lines that round to 0 stand at the end."""
    if not quote.lines and not quote.zero_lines:
        return NO_LINES
    zone = zone_named(quote.zone)
    table = Table("", "item", "from", "to", "share", "amount", box=None, pad_edge=False)
    table.columns[-1].justify = "right"
    for line in (*quote.lines, *quote.zero_lines):
        table.add_row(
            line.kind.value,
            Text(line.item),
            moment_text(line.start, zone),
            moment_text(line.end, zone),
            _share(line, quote.currency, locale),
            format_money(Money(line.amount_minor, quote.currency), locale),
        )
    return table


def totals(quote: Quote, locale: str) -> Table:
    """Net, credit, what is carried, what is due now, and the next bill."""
    zone = zone_named(quote.zone)
    minor = {
        "carried from earlier": quote.carried_in_minor,
        "net": quote.net_minor,
        "account credit used": quote.credit_used_minor,
        "account credit left": quote.credit_after_minor,
        "carried to the next bill": quote.carried_minor,
        "due now": quote.due_minor,
    }
    amounts = {
        name: format_money(Money(value, quote.currency), locale)
        for name, value in minor.items()
        if value or name in ("net", "due now")
    }
    width = max(len(amount) for amount in amounts.values())
    table = Table("", "", box=None, show_header=False, pad_edge=False)
    for name, amount in amounts.items():
        table.add_row(name, amount.rjust(width))
    table.add_row("tax", "not computed")
    start, end = (moment_text(moment, zone) for moment in (quote.after.period.start, quote.after.period.end))
    table.add_row("period", f"{start} to {end}")
    following = format_money(Money(quote.next_billing.amount_minor, quote.currency), locale)
    table.add_row("next bill", f"{following} on {moment_text(quote.next_billing.date, zone)}")
    return table


def _share(line: Line, currency: str, locale: str) -> str:
    """``20/31 days of $37.50``, and what capped a credit below its share."""
    whole = format_exact(line.whole_minor, currency, locale)
    share = f"{line.numerator}/{line.denominator} {line.mode.unit} of {whole}"
    if abs(line.amount_minor) < _uncapped(line):
        return f"{share}, of which {format_money(Money(abs(line.amount_minor), currency), locale)} is left"
    return share


def _uncapped(line: Line) -> int:
    whole = line.whole_minor
    return round_ratio(whole.numerator * line.numerator, whole.denominator * line.denominator)
