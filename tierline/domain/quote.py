"""The answer to "what would it cost": a value that explains itself and leads to the next billing state."""

from __future__ import annotations

from dataclasses import dataclass

from tierline.domain.billing import BillingState
from tierline.domain.calendar import Moment
from tierline.domain.cycles import Cycle
from tierline.domain.lines import Line
from tierline.domain.modes import Mode
from tierline.domain.settlement import Settlement
from tierline.domain.values import quickly_made

TAX_NOT_COMPUTED = "not_computed"


@dataclass(frozen=True, slots=True)
class NextBilling:
    """The bill after this one: its date and the whole interval's price, discounted, before credit."""

    date: Moment
    amount_minor: int


@quickly_made
@dataclass(frozen=True, slots=True)
class Quote:
    """Lines, what they come to, and the billing state before and after. Amounts in minor units.

    Lines that round to 0 stand in ``zero_lines``. ``after`` is what the subscription becomes when the
    change is carried out; its rows remember what this change credited.
    """

    currency: str
    zone: str
    at: Moment
    mode: Mode
    cycle: Cycle
    lines: tuple[Line, ...]
    zero_lines: tuple[Line, ...]
    settlement: Settlement
    before: BillingState
    after: BillingState
    next_billing: NextBilling
    tax_basis: str = TAX_NOT_COMPUTED

    @property
    def net_minor(self) -> int:
        """The sum of the lines and of what the account carried."""
        return self.settlement.net_minor

    @property
    def carried_in_minor(self) -> int:
        """What earlier changes carried into this net."""
        return self.net_minor - sum(line.amount_minor for line in self.lines)

    @property
    def due_minor(self) -> int:
        """What is asked for now."""
        return self.settlement.due_minor

    @property
    def credit_used_minor(self) -> int:
        """Account credit that this change uses up."""
        return self.settlement.credit_used_minor

    @property
    def credit_after_minor(self) -> int:
        """The account's credit afterwards."""
        return self.settlement.credit_after_minor

    @property
    def carried_minor(self) -> int:
        """Due, but below the account's minimum: joins the next net."""
        return self.settlement.carried_minor
