"""What the demo found, as one value: printed for people, written to ``summary.json`` for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tierline.verify.check import Report
from tierline.verify.outcomes import OUTCOMES, Tally
from tierline.workload.late_accounts import Place
from tierline.workload.percentiles import summary_ms
from tierline.workload.records import SampleRecord
from tierline.workload.visibility import VisibleTier

COUNTS = (*OUTCOMES, "operations", "completed", "failed", "superseded")


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts over all channels and per channel; latencies in ms; see ``as_json`` for the names.

    ``waited``: orders that changed a tier after they had waited for their account; they are in no latency.
    """

    records: int
    published: int
    per_channel: Mapping[str, Mapping[str, Any]]
    totals: Mapping[str, int]
    latency_ms: Mapping[str, float | None]
    seconds_to_first_result: float | None
    why_rejected: Counter[str]
    why_dead: Counter[str]
    why_held: Counter[str]
    why_skipped: Counter[str]
    report: Report
    waited: int = 0
    longest_wait_s: float = 0.0

    @property
    def lost(self) -> int:
        """Intents that were published and have no outcome."""
        return self.published - sum(self.totals[kind] for kind in OUTCOMES)

    def as_json(self) -> dict[str, Any]:
        """The content of ``summary.json``."""
        return {
            "records": self.records,
            "published": self.published,
            **self.totals,
            "lost": self.lost,
            "latency_ms": dict(self.latency_ms),
            "seconds_to_first_result": self.seconds_to_first_result,
            "waited_for_accounts": {"orders": self.waited, "longest_s": self.longest_wait_s},
            "per_channel": {name: dict(row) for name, row in self.per_channel.items()},
            "why_rejected": dict(self.why_rejected.most_common()),
            "why_held": dict(self.why_held.most_common()),
            "why_dead": dict(self.why_dead.most_common()),
            "why_skipped": dict(self.why_skipped.most_common()),
            "verify": {finding.invariant: finding.broken for finding in self.report.findings},
        }


def summarise(
    published: Sequence[SampleRecord],
    report: Report,
    tiers: Sequence[VisibleTier],
    started_ms: float,
    waited: Collection[Place] = (),
) -> Summary:
    """Bring together what was sent, what the checker counted, and when tiers became visible.

    ``waited``: records that were held for their accounts.
    """
    late = [tier for tier in tiers if (tier.topic, tier.partition, tier.offset) in waited]
    tiers = [tier for tier in tiers if (tier.topic, tier.partition, tier.offset) not in waited]
    channels = sorted({record.channel for record in published}, reverse=True)
    per_channel = {name: _channel_row(name, published, report.tallies, tiers) for name in channels}
    names = (*COUNTS, "tier_changes")
    first = min((tier.visible_ms for tier in tiers), default=None)
    return Summary(
        records=len(published),
        published=sum(record.intents for record in published),
        per_channel=per_channel,
        totals={name: sum(row[name] for row in per_channel.values()) for name in names},
        latency_ms=summary_ms([tier.latency_ms for tier in tiers]),
        seconds_to_first_result=None if first is None else round((first - started_ms) / 1000, 1),
        why_rejected=sum((t.why_rejected for t in report.tallies.values()), Counter()),
        why_held=sum((t.why_held for t in report.tallies.values()), Counter()),
        why_dead=sum((t.why_dead for t in report.tallies.values()), Counter()),
        why_skipped=sum((t.why_skipped for t in report.tallies.values()), Counter()),
        report=report,
        waited=len(late),
        longest_wait_s=round(max((tier.latency_ms for tier in late), default=0) / 1000, 1),
    )


def _channel_row(
    channel: str,
    published: Sequence[SampleRecord],
    tallies: Mapping[str, Tally],
    tiers: Sequence[VisibleTier],
) -> dict[str, Any]:
    tally = tallies.get(channel, Tally())
    own = [record for record in published if record.channel == channel]
    return {
        "records": len(own),
        "published": sum(record.intents for record in own),
        **{name: getattr(tally, name) for name in (*COUNTS, "tier_changes")},
        "latency_ms": summary_ms([tier.latency_ms for tier in tiers if tier.channel == channel]),
    }
