"""``tierline catalog``: check, show, compare and publish the price book."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.cli.errors import CommandError
from tierline.cli.options import Json

if TYPE_CHECKING:
    from tierline.domain.catalog import Catalog, Module, Plan, Price

app = typer.Typer(help="Check, show, compare and publish the catalog.", no_args_is_help=True)

DEFAULT_FILE = Path("catalog/catalog.yaml")
CatalogFile = Annotated[Path, typer.Option("--file", help="The catalog that is worked on.")]


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A catalog file.")] = DEFAULT_FILE, as_json: Json = False
) -> None:
    """Check a catalog file; every problem is printed with file, line and reason."""
    from tierline.cli.output import print_json
    from tierline.kit.catalog_file import load_catalog
    from tierline.kit.yaml_nodes import YamlRefused

    try:
        catalog = load_catalog(file)
    except YamlRefused as refused:
        if as_json:
            found = [{"file": p.file, "line": p.line, "reason": p.reason} for p in refused.problems]
            print_json({"version": None, "problems": found})
        else:
            typer.echo(str(refused), err=True)
        raise typer.Exit(1) from None
    if as_json:
        print_json({"version": catalog.version, "problems": []})
    else:
        sizes = f"{len(catalog.tiers)} tiers, {len(catalog.plans)} plans, {len(catalog.modules)} modules"
        typer.echo(f"{file}: {sizes}, {len(catalog.offers)} offers, no problems. Version {catalog.version}")


@app.command()
def show(
    plan: Annotated[str | None, typer.Argument(help="One plan, by its id.")] = None,
    version: Annotated[str | None, typer.Option(help="A published version.")] = None,
    currency: Annotated[str, typer.Option(help="The currency of the list of plans.")] = "EUR",
    file: CatalogFile = DEFAULT_FILE,
    as_json: Json = False,
) -> None:
    """Show the catalog, or one plan of it."""
    from tierline.cli.output import print_json
    from tierline.domain.catalog_record import catalog_record, plan_record

    catalog = _load(version or str(file), file)
    if plan is not None:
        chosen = catalog.plan(plan)
        if chosen is None:
            known = ", ".join(catalog.plans)
            raise CommandError(f"no plan {plan!r} in catalog {catalog.version}; known: {known}")
        if as_json:
            print_json({"version": catalog.version, "id": chosen.id, **plan_record(chosen)})
        else:
            typer.echo(_plan_text(chosen))
    elif as_json:
        print_json(catalog_record(catalog))
    else:
        _print_plans(catalog, currency)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A published version, or a catalog file.")],
    after: Annotated[str | None, typer.Argument(help="The same; the working file without one.")] = None,
    file: CatalogFile = DEFAULT_FILE,
    as_json: Json = False,
) -> None:
    """Show what differs between two catalogs."""
    from tierline.cli.output import print_json
    from tierline.domain.catalog_record import differences

    found = differences(_load(before, file), _load(after or str(file), file))
    if as_json:
        rows = [{"place": each.place, "before": each.before, "after": each.after} for each in found]
        print_json({"differences": rows})
        return
    for each in found:
        typer.echo(str(each))
    if not found:
        typer.echo("no differences")


@app.command()
def publish(file: CatalogFile = DEFAULT_FILE, as_json: Json = False) -> None:
    """Publish the catalog as an immutable version beside its file."""
    from tierline.cli.output import print_json
    from tierline.kit.catalog_file import publish_catalog
    from tierline.kit.yaml_nodes import YamlRefused

    try:
        catalog, new = publish_catalog(file, _published(file))
    except (YamlRefused, OSError) as refused:
        raise CommandError(str(refused)) from None
    target = _published(file) / f"{catalog.version}.yaml"
    if as_json:
        print_json({"version": catalog.version, "file": str(target), "new": new})
    else:
        typer.echo(f"version {catalog.version} {'published' if new else 'is already published'}: {target}")


def _load(name: str, file: Path) -> Catalog:
    """A published version by its name, else the catalog file at that path."""
    from tierline.kit.catalog_file import load_catalog
    from tierline.kit.yaml_nodes import YamlRefused

    published = _published(file) / f"{name}.yaml"
    path = published if published.name != ".yaml" and published.exists() else Path(name)
    if not path.exists():
        raise CommandError(f"{name!r} is neither a version in {_published(file)} nor a catalog file")
    try:
        return load_catalog(path)
    except YamlRefused as refused:
        raise CommandError(str(refused)) from None


def _published(file: Path) -> Path:
    from tierline.kit.catalog_file import PUBLISHED

    return file.parent / PUBLISHED


def _print_plans(catalog: Catalog, currency: str) -> None:
    from tierline.cli.output import console, print_table

    def shown(plan: Plan) -> str:
        price = plan.prices.get(currency)
        return "not sold" if price is None else _price_text(price, currency)

    print_table(
        ("plan", "tier", "interval", ">seats from", f"{currency} per interval"),
        (
            (plan.id, plan.tier, str(plan.interval), str(plan.minimum_seats), shown(plan))
            for plan in catalog.plans.values()
        ),
    )
    for module in catalog.modules.values():
        console().print(_module_text(catalog, module, currency))
    for offer in catalog.offers:
        plans = ", ".join(sorted(offer.plans))
        window = f"within {offer.within_days} days of renewal"
        console().print(f"offer {offer.id}: {offer.percent} % off {plans} {window}")
    console().print(f"version {catalog.version}")


def _module_text(catalog: Catalog, module: Module, currency: str) -> str:
    included = [tier.name for tier in catalog.tiers if module.id in tier.includes]
    prices = ", ".join(
        f"{_price_text(by_currency[currency], currency)} for {interval}"
        for interval, by_currency in module.prices.items()
        if currency in by_currency
    )
    parts = [
        f"module {module.id}: {module.name}, for {', '.join(sorted(module.tiers))}",
        f"included in {', '.join(included)}" if included else "",
        f"not with {', '.join(sorted(module.excludes))}" if module.excludes else "",
        prices or "not sold",
    ]
    return "; ".join(part for part in parts if part)


def _plan_text(plan: Plan) -> str:
    rows = {
        "plan": f"{plan.id} ({plan.name})",
        "tier": plan.tier,
        "interval": str(plan.interval),
        "price": "\n          ".join(_price_text(price, name) for name, price in plan.prices.items()),
        "seats": f"from {plan.minimum_seats}",
        "features": ", ".join(plan.features),
        "limits": ", ".join(f"{name} {limit}" for name, limit in plan.limits.items()),
        "prorated": plan.mode.value,
        "aliases": "; ".join(f"{channel}: {', '.join(names)}" for channel, names in plan.aliases.items()),
    }
    return "\n".join(f"{name:<9} {text}" for name, text in rows.items() if text)


def _price_text(price: Price, currency: str) -> str:
    """``€60,000.00 for 50 seats + €1,080.00 a seat``."""
    from tierline.domain.money import Money
    from tierline.kit.money_text import format_money

    parts = []
    if price.flat_minor or not price.per_seat_minor:
        covers = f" for {price.included} seats" if price.included else ""
        parts.append(f"{format_money(Money(price.flat_minor, currency))}{covers}")
    if price.per_seat_minor:
        parts.append(f"{format_money(Money(price.per_seat_minor, currency))} a seat")
    return " + ".join(parts)
