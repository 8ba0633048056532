"""Sample orders of the sales desk: rows of files, some of them broken, and a file that puts them right.

Broken rows are remembered. They come again, corrected and under their old reference, in one further file, and
so do rows that were good: that file is the first one again as far as Tierline is concerned.
"""

from __future__ import annotations

import random
from collections import deque

from tierline.workload.records import Ask, Kind, SampleRecord

HEADER = "order_ref,account,subscription,target_plan,seats,modules,effective,quote,sales_rep"
PLANS = {"business-month": "Business monthly", "business-year": "Business yearly"}
ROWS_IN_A_FILE = 50
REMEMBERED = 400


class SalesDeskOrders:
    """Rows of one run; ``name`` keeps the files of different runs apart."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows = 0
        self._corrections = 0
        self._to_correct: deque[Ask] = deque(maxlen=REMEMBERED)

    def order(self, ask: Ask) -> SampleRecord:
        """A row of the file in hand, or of the corrections."""
        is_correction = ask.kind is Kind.CORRECTED
        return self._record(ask, _row(ask), ask.kind, to_corrections=is_correction)

    def again(self, first: SampleRecord) -> SampleRecord:
        """The row stands in the corrections too."""
        return SampleRecord(
            first.channel, first.key, first.value, first.intents, Kind.DUPLICATE, self._next_correction()
        )

    def broken(self, ask: Ask, rng: random.Random) -> SampleRecord:
        """One of the ways in which a row goes wrong."""
        row = _row(ask)
        broken = rng.choice(
            (
                f'"{row}',
                row.replace(f",{ask.seats},", f",{ask.seats}.000,"),
                row.replace(f",{ask.seats},", ",a dozen,"),
                row.replace(",now,", ",30.02.2027,"),
                row.replace(",", ";"),
                row.removesuffix(",J. Doe"),
            )
        )
        self._to_correct.append(ask)
        return self._record(ask, broken, Kind.BROKEN, to_corrections=False)

    def to_correct(self) -> Ask | None:
        """The broken row that has waited longest."""
        return self._to_correct.popleft() if self._to_correct else None

    def _record(self, ask: Ask, row: str, kind: Kind, *, to_corrections: bool) -> SampleRecord:
        value = f"{HEADER}\r\n{row}\r\n".encode()
        headers = self._next_correction() if to_corrections else self._next_row()
        return SampleRecord("sales_desk", ask.sample.subscription_id, value, 1, kind, headers)

    def _next_row(self) -> tuple[tuple[str, bytes], ...]:
        file, row = divmod(self._rows, ROWS_IN_A_FILE)
        self._rows += 1
        return _place(f"{self._name}-{file + 1}.csv", row)

    def _next_correction(self) -> tuple[tuple[str, bytes], ...]:
        self._corrections += 1
        return _place(corrections_file(self._name), self._corrections - 1)


def corrections_file(name: str) -> str:
    """The file of a run in which broken rows come again, corrected."""
    return f"{name}-corrected.csv"


def _row(ask: Ask) -> str:
    sample, plan = ask.sample, PLANS.get(ask.plan, ask.plan)
    who = f"{ask.reference},{sample.account_id},{sample.subscription_id}"
    return f"{who},{plan},{ask.seats},{';'.join(ask.modules)},now,,J. Doe"


def _place(file: str, index: int) -> tuple[tuple[str, bytes], ...]:
    return ("file", file.encode()), ("row", str(index + 2).encode()), ("upload", b"1")
