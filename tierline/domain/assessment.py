"""Everything that speaks for or against one order, gathered before anything is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tierline.domain.eligibility import findings_of, reasons_with, verdicts_of
from tierline.domain.events import Reason, Verdict
from tierline.domain.pending import Meeting, meet, reasons_of_meeting
from tierline.domain.policy import FAIL, Policy, Severity
from tierline.domain.proposal import Asked, Impossible, Proposal, Unchanged, proposal_of
from tierline.domain.reasons import REASONS, ReasonCode
from tierline.domain.standing import reasons_of_standing
from tierline.domain.values import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Assessment:
    """``rejecting`` and ``holding`` hold all failing reasons of their severity, not only the first."""

    order: Asked
    proposal: Proposal
    meeting: Meeting
    verdicts: tuple[Verdict, ...]
    rejecting: tuple[Reason, ...]
    holding: tuple[Reason, ...]

    @property
    def failing(self) -> tuple[Reason, ...]:
        """Everything that stands in the way."""
        return self.rejecting + self.holding


def assess(order: Asked, policy: Policy) -> Assessment:
    """Read the order, see what it meets, put the rules to it."""
    strictness = policy.strictness(order.command.channel, order.account.segment)
    proposal, meeting = proposal_of(order), meet(order.subscription, order.command, order.request)
    found = findings_of(order, proposal)
    always = reasons_of_meeting(meeting, order.command.received_at) + reasons_of_standing(order.subscription)
    if isinstance(proposal, Impossible):
        always += proposal.reasons
    told = [_told(reason, Severity.REJECT) for reason in always]
    if isinstance(proposal, Unchanged):
        told.append(_told(in_force(order), Severity.WARN))
    return Assessment(
        order,
        proposal,
        meeting,
        _joined(verdicts_of(strictness, found), told),
        always + reasons_with(Severity.REJECT, strictness, found),
        reasons_with(Severity.HOLD, strictness, found),
    )


def in_force(order: Asked) -> Reason:
    """The reason of an order that asks for what the subscription has."""
    subscription = order.subscription
    present = " and ".join((f"{subscription.plan} with {subscription.seats} seats", *subscription.modules))
    return Reason(ReasonCode.ALREADY_IN_FORCE, f"{present} is in force")


def may_be_sent_again(reasons: tuple[Reason, ...]) -> bool:
    """Sending the order again can help only where that is true of every reason."""
    return all(REASONS[ReasonCode(reason.code)].retry for reason in reasons)


def _joined(of_rules: tuple[Verdict, ...], told: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """What holds whatever the policy says stands instead of a rule of the same name."""
    if not told:
        return of_rules
    names = {verdict.rule for verdict in told}
    return (*(verdict for verdict in of_rules if verdict.rule not in names), *told)


def _told(reason: Reason, severity: Severity) -> Verdict:
    return Verdict(reason.code.lower(), FAIL, severity.value, reason.detail)
