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
    """The clock (``now``, ms), who the command is, the newest price book, the rules' severities.

    ``published``: every version that was ever published, by its name; an account keeps the one that its plan
    was bought under.
    ``taken_refs``: the references named by an opening that a subscription holds already, and which one.
    """

    now: int
    identity: Identity
    catalog: Catalog
    policy: Policy
    taken_refs: Mapping[ExternalRef, str] = field(default_factory=dict)
    published: Mapping[str, Catalog] = field(default_factory=dict)

    def catalog_named(self, version: str) -> Catalog | None:
        """The price book of that version; None where it was never published here."""
        return self.catalog if version == self.catalog.version else self.published.get(version)
