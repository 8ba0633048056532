"""The catalog as YAML: read, checked as a whole, refused with file, line and reason.

Publishing copies the file to ``published/<version>.yaml``, where the version is the beginning of the
SHA-256 of its bytes: a published version can be recomputed by anybody and cannot be edited unseen.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from yaml.nodes import Node

from tierline.domain.calendar import Interval
from tierline.domain.catalog import Catalog, Module, Offer, Plan, Price, Tier
from tierline.domain.cycles import Cycle
from tierline.domain.modes import Mode
from tierline.kit.catalog_rules import catalog_problems
from tierline.kit.currencies import exponents
from tierline.kit.yaml_nodes import NodeReader, Problem, YamlRefused, read_file

FORMAT = 1
VERSION_DIGITS = 12
PUBLISHED = "published"
"""The folder of published versions, beside the file that is worked on."""
_PLAN_OPTIONAL = (
    "minimum_seats",
    "features",
    "limits",
    "countries",
    "sellable",
    "proration",
    "cycles",
    "aliases",
)


def version_of(content: bytes) -> str:
    """The version that this content has once published."""
    return sha256(content).hexdigest()[:VERSION_DIGITS]


def load_catalog(path: Path) -> Catalog:
    """Read and check a catalog file. Raises YamlRefused, also when the file cannot be read."""
    text = read_file(path)
    return read_catalog(text, str(path), version_of(text.encode()))


def load_published(folder: Path) -> dict[str, Catalog]:
    """All published versions. A file whose bytes no longer give its version is refused."""
    found: dict[str, Catalog] = {}
    for path in sorted(folder.glob("*.yaml")):
        catalog = load_catalog(path)
        if catalog.version != path.stem:
            reason = f"was edited after it was published: its content is version {catalog.version}"
            raise YamlRefused([Problem(str(path), 1, reason)])
        found[catalog.version] = catalog
    return found


def publish_catalog(path: Path, folder: Path) -> tuple[Catalog, bool]:
    """Publish a checked catalog file into ``folder``: its value, and whether the version is new there."""
    catalog = load_catalog(path)
    target = folder / f"{catalog.version}.yaml"
    if target.exists():
        load_published(folder)
        return catalog, False
    folder.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".part")
    draft.write_bytes(path.read_bytes())
    draft.rename(target)
    return catalog, True


def read_catalog(text: str, file: str, version: str) -> Catalog:
    """The catalog that the YAML text describes; ``file`` is only named in problems."""
    reader = NodeReader(file)
    root = reader.root(text)
    sections = reader.fields(root, "the catalog", ("format", "tiers", "plans"), ("modules", "offers"))
    if "format" in sections and reader.whole(sections["format"], "format") != FORMAT:
        reader.refuse(sections["format"], f"format must be {FORMAT}")
    lines: dict[str, Node] = {}
    catalog = Catalog(
        version,
        _tiers(reader, sections.get("tiers")),
        _plans(reader, sections.get("plans"), lines),
        _modules(reader, sections.get("modules"), lines),
        _offers(reader, sections.get("offers"), lines),
    )
    for place, reason in catalog_problems(catalog):
        reader.refuse(lines.get(place, root), reason)
    reader.finish()
    return catalog


def _tiers(reader: NodeReader, node: Node | None) -> tuple[Tier, ...]:
    tiers: dict[str, Tier] = {}
    for rank, entry in enumerate(reader.sequence(node, "tiers")):
        fields = reader.fields(entry, "a tier", ("name",), ("includes",))
        name = reader.text(fields.get("name"), "name")
        if name in tiers:
            reader.refuse(entry, f"tier {name!r} stands here twice")
        tiers[name] = Tier(name, rank, frozenset(reader.texts(fields.get("includes"), "includes")))
    return tuple(tiers.values())


def _plans(reader: NodeReader, node: Node | None, lines: dict[str, Node]) -> dict[str, Plan]:
    plans: dict[str, Plan] = {}
    for plan_id, entry in (reader.entries(node, "plans") if node else {}).items():
        plans[plan_id] = _plan(reader, plan_id, entry, lines)
    return plans


def _plan(reader: NodeReader, plan_id: str, node: Node, lines: dict[str, Node]) -> Plan:
    what = f"plan {plan_id}"
    fields = reader.fields(node, what, ("name", "tier", "interval", "prices"), _PLAN_OPTIONAL)
    for name, value in {"": node, **fields}.items():
        lines[f"plans.{plan_id}.{name}"] = value
    sellable = (
        reader.fields(fields["sellable"], "sellable", (), ("from", "to")) if "sellable" in fields else {}
    )
    return Plan(
        plan_id,
        reader.text(fields.get("name"), "name"),
        reader.text(fields.get("tier"), "tier"),
        _interval(reader, fields.get("interval")),
        _prices(reader, fields.get("prices")),
        reader.whole(fields.get("minimum_seats"), "minimum_seats", 1, 1),
        reader.texts(fields.get("features"), "features"),
        _limits(reader, fields.get("limits")),
        _countries(reader, fields.get("countries")),
        reader.day(sellable.get("from"), "from"),
        reader.day(sellable.get("to"), "to"),
        reader.choice(fields.get("proration"), "proration", Mode, Mode.DAY),
        _cycles(reader, plan_id, fields.get("cycles"), lines),
        _aliases(reader, fields.get("aliases")),
    )


def _limits(reader: NodeReader, node: Node | None) -> dict[str, int]:
    entries = reader.entries(node, "limits") if node else {}
    return {name: reader.whole(value, f"limit {name}") for name, value in entries.items()}


def _countries(reader: NodeReader, node: Node | None) -> frozenset[str]:
    countries = reader.texts(node, "countries")
    for country in countries:
        if node and not (len(country) == 2 and country.isascii() and country.isupper()):
            reader.refuse(node, f"{country} is not an ISO 3166 country code such as DE")
    return frozenset(countries)


def _aliases(reader: NodeReader, node: Node | None) -> dict[str, tuple[str, ...]]:
    entries = reader.entries(node, "aliases") if node else {}
    return {channel: reader.texts(names, f"aliases of {channel}") for channel, names in entries.items()}


def _cycles(reader: NodeReader, plan_id: str, node: Node | None, lines: dict[str, Node]) -> dict[str, Cycle]:
    found: dict[str, Cycle] = {}
    for current, entry in (reader.entries(node, "cycles") if node else {}).items():
        lines[f"plans.{plan_id}.cycles.{current}"] = entry
        if reader.text(entry, "a cycle") == "coterm":
            reader.refuse(entry, "coterm is reserved and cannot be chosen yet")
            continue
        found[current] = reader.choice(entry, "a cycle", Cycle, Cycle.RESTART)
    return found


def _interval(reader: NodeReader, node: Node | None) -> Interval:
    try:
        return Interval.parse(reader.text(node, "interval", "1month"))
    except ValueError as error:
        if node is not None:
            reader.refuse(node, str(error))
        return Interval.parse("1month")


def _prices(reader: NodeReader, node: Node | None) -> dict[str, Price]:
    found: dict[str, Price] = {}
    for currency, entry in (reader.entries(node, "prices") if node else {}).items():
        if currency not in exponents():
            reader.refuse(entry, f"{currency} is not an ISO 4217 currency with a minor unit")
        fields = reader.fields(
            entry, f"the {currency} price", (), ("flat_minor", "per_seat_minor", "included")
        )
        if not {"flat_minor", "per_seat_minor"} & set(fields):
            reader.refuse(entry, f"the {currency} price needs flat_minor or per_seat_minor")
        amounts = (
            reader.whole(fields.get(name), name) for name in ("flat_minor", "per_seat_minor", "included")
        )
        found[currency] = Price(*amounts)
    if node is not None and not found:
        reader.refuse(node, "prices need at least one currency")
    return found


def _modules(reader: NodeReader, node: Node | None, lines: dict[str, Node]) -> dict[str, Module]:
    found: dict[str, Module] = {}
    for module_id, entry in (reader.entries(node, "modules") if node else {}).items():
        required, optional = ("name", "features", "tiers", "prices"), ("excludes", "aliases")
        fields = reader.fields(entry, f"module {module_id}", required, optional)
        for name, value in {"": entry, **fields}.items():
            lines[f"modules.{module_id}.{name}"] = value
        by_interval: dict[Interval, dict[str, Price]] = {}
        for text, prices in (
            reader.entries(fields["prices"], "prices") if "prices" in fields else {}
        ).items():
            try:
                by_interval[Interval.parse(text)] = _prices(reader, prices)
            except ValueError as error:
                reader.refuse(prices, str(error))
        found[module_id] = Module(
            module_id,
            reader.text(fields.get("name"), "name"),
            reader.texts(fields.get("features"), "features"),
            frozenset(reader.texts(fields.get("tiers"), "tiers")),
            by_interval,
            frozenset(reader.texts(fields.get("excludes"), "excludes")),
            _aliases(reader, fields.get("aliases")),
        )
    return found


def _offers(reader: NodeReader, node: Node | None, lines: dict[str, Node]) -> tuple[Offer, ...]:
    found: list[Offer] = []
    for offer_id, entry in (reader.entries(node, "offers") if node else {}).items():
        fields = reader.fields(entry, f"offer {offer_id}", ("plans", "percent", "within_days"), ("periods",))
        lines[f"offers.{offer_id}."] = entry
        periods = reader.whole(fields.get("periods"), "periods", 1, 1)
        percent = reader.decimal(fields.get("percent"), "percent")
        within = reader.whole(fields.get("within_days"), "within_days", 1)
        plans = frozenset(reader.texts(fields.get("plans"), "plans"))
        found.append(Offer(offer_id, plans, percent, within, periods))
    return tuple(found)
