"""A quote for people: one row per line with its arithmetic, then what it comes to."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from tierline.domain.billing_record import moment_text
from tierline.domain.calendar import zone_named
from tierline.domain.lines import Line
from tierline.domain.money import Money
from tierline.domain.quote import Quote
from tierline.kit.money_text import format_exact, format_money


def quote_table(quote: Quote, locale: str) -> Table:
    """Credits and charges; lines that round to 0 stand at the end."""
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
    after = quote.after
    amounts = {
        "net": quote.net_minor,
        "account credit used": quote.credit_used_minor,
        "account credit left": quote.credit_after_minor,
        "carried to the next bill": quote.carried_minor,
        "due now": quote.due_minor,
    }
    table = Table("", "", box=None, show_header=False, pad_edge=False)
    for name, minor in amounts.items():
        if minor or name in ("net", "due now"):
            table.add_row(name, format_money(Money(minor, quote.currency), locale))
    following = format_money(Money(quote.next_billing.amount_minor, quote.currency), locale)
    table.add_row("tax", "not computed")
    table.add_row(
        "period", f"{moment_text(after.period.start, zone)} to {moment_text(after.period.end, zone)}"
    )
    table.add_row("next bill", f"{following} on {moment_text(quote.next_billing.date, zone)}")
    return table


def _share(line: Line, currency: str, locale: str) -> str:
    whole = format_exact(line.whole_minor, currency, locale)
    return f"{line.numerator}/{line.denominator} {line.mode.unit} of {whole}"
