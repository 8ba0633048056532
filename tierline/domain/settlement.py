"""From the sum of the lines to what is asked for: account credit, minimum due, carried amount."""

from __future__ import annotations

from dataclasses import dataclass

from tierline.domain.billing import AccountTerms
from tierline.domain.values import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Settlement:
    """All in minor units. ``net`` = lines + what was carried; ``due`` is what is asked for now."""

    net_minor: int
    due_minor: int
    credit_used_minor: int
    credit_after_minor: int
    carried_minor: int


def settle(account: AccountTerms, lines_minor: int) -> Settlement:
    """Carried amounts join the net; below zero it becomes credit, above it credit is used first.

    What is then still due but below the account's minimum is carried instead of asked for.
    """
    net = lines_minor + account.carried_minor
    if net <= 0:
        return Settlement(net, 0, 0, account.credit_minor - net, 0)
    used = min(account.credit_minor, net)
    due, credit_after = net - used, account.credit_minor - used
    if due < account.minimum_due_minor:
        return Settlement(net, 0, used, credit_after, due)
    return Settlement(net, due, used, credit_after, 0)
