"""Question: what does a quote of two lines (one credit, one charge) cost?

Run: ``.venv/bin/python -m benchmarks.quote_change [repetitions]``. Prints microseconds per quote, the best of
five rounds, for date and instant inputs. Kept figure: 39 µs by day and 55 µs by second on 2 shared cores,
Debian's Python 3.11 (aim: at most 150 µs).
"""

from __future__ import annotations

import sys
import timeit

from tierline.domain.billing import AccountTerms, BillingState, Change, InvoicedRow, Item
from tierline.domain.calendar import Interval, Period
from tierline.domain.cycles import Cycle
from tierline.domain.fields import moment_from
from tierline.domain.modes import Mode
from tierline.domain.proration import quote_change

MONTH, YEAR = Interval.parse("1month"), Interval.parse("1year")
START, END = moment_from("2026-11-01"), moment_from("2026-12-01")
ACCOUNT = AccountTerms("Europe/Berlin", "EUR")
ROUNDS = 5


def situation(mode: Mode) -> tuple[BillingState, Change]:
    """Team monthly for 12 seats becomes business yearly for 15, at an instant."""
    row = InvoicedRow("base", START, END, 12, 34_800, mode=mode)
    current = (Item("base", "team-month", MONTH, 12, 34_800),)
    target = (Item("base", "business-year", YEAR, 15, 1_260_000),)
    at = moment_from("2026-11-23T10:02:11Z")
    change = Change(at, target, mode=mode, cycle=Cycle.KEEP_BILLING_DAY)
    return BillingState(1, Period(START, END), current, invoiced=(row,)), change


def microseconds(mode: Mode, repetitions: int) -> float:
    """The cost of one quote in the best round."""
    billing, change = situation(mode)
    assert len(quote_change(ACCOUNT, billing, change).lines) == 2
    rounds = timeit.repeat(lambda: quote_change(ACCOUNT, billing, change), number=repetitions, repeat=ROUNDS)
    return min(rounds) / repetitions * 1e6


def main() -> None:
    """Print one figure per mode."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    for mode in (Mode.DAY, Mode.SECOND):
        print(f"quote of two lines, {mode}: {microseconds(mode, repetitions):.0f} µs")


if __name__ == "__main__":
    main()
