"""Everything that a decision may know besides state and command. No look-ups happen inside a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tierline.domain.catalog import Catalog
from tierline.domain.claims import Identity
from tierline.domain.commands import ExternalRef
from tierline.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class Context:
    """The clock (``now``, ms), who the command is, the price book, the rules' severities.

    ``taken_refs``: the references named by an opening that a subscription holds already, and which one.
    """

    now: int
    identity: Identity
    catalog: Catalog
    policy: Policy
    taken_refs: Mapping[ExternalRef, str] = field(default_factory=dict)
