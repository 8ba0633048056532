"""``tierline checkpoint``: the key that signs how far the events went, and the check of what was signed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tierline.cli.options import Data, Json

app = typer.Typer(
    no_args_is_help=True,
    help="Signed checkpoints of the events: the key, and whether topic and store still agree with them.",
    rich_markup_mode=None,
)


@app.command("key")
def key(
    new: Annotated[
        Path | None,
        typer.Option("--new", metavar="FILE", help="Make a new key in FILE, which must not exist."),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Print the verifier key: keep it where nobody who can write to the database can change it."""
    from tierline import bootstrap
    from tierline.cli.errors import CommandError
    from tierline.cli.output import print_json
    from tierline.kit.settings import load_settings
    from tierline.kit.signed_note import KeyUnusable, NoteSigner

    settings = load_settings(data)
    try:
        if new is not None:
            keys: tuple[str, ...] = (NoteSigner.create(settings.checkpoint.key_name, new).verifier_key,)
        else:
            keys = bootstrap.verifier_keys(settings)
    except FileExistsError:
        raise CommandError(f"{new} exists; a key is never replaced.", "Choose another file name.") from None
    except KeyUnusable as unusable:
        raise CommandError(
            f"{unusable}.", "Restore the file, or make one: tierline checkpoint key --new FILE"
        ) from None
    except OSError as error:
        raise CommandError(f"{new} cannot be written: {error.strerror}.") from None
    if not keys:
        raise CommandError(
            "Nothing is signed here: no key is set.",
            "Make one: tierline checkpoint key --new FILE   It says which settings to set.",
        )
    if json:
        print_json({"verifier_keys": list(keys), "key_file": str(new or settings.checkpoint.key_file or "")})
        return
    for one in keys:
        typer.echo(one)
    if new is not None:
        typer.echo(f"\nThe private key is in {new}. The orders worker signs with these settings:", err=True)
        typer.echo(f"  TIERLINE_CHECKPOINT__KEY_FILE={new.resolve()}", err=True)
        typer.echo("  TIERLINE_CHECKPOINT__FILE=<a file on another disk than the database's>", err=True)


@app.command("verify")
def verify(
    keys: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Trust this verifier key, not those of the settings."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Checkpoints kept outside, such as a copy.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Compare everything that was ever signed with the topic and the store. Exit code 1 when they differ.

    Works while orders go on. A cut tail and a chain that was hashed anew are found, even where database and
    topic were both rewritten.
    """
    from dataclasses import replace

    from tierline.cli.errors import CommandError
    from tierline.cli.output import print_json
    from tierline.kit.settings import load_settings
    from tierline.verify.check import check_checkpoints
    from tierline.verify.checkpoints import KeyUnreadable
    from tierline.verify.reading import EvidenceMissing
    from tierline.workload.running import target_of

    target = target_of(load_settings(data))
    if file is not None and not file.exists():
        raise CommandError(f"{file} does not exist.")
    target = replace(
        target,
        verifier_keys=tuple(keys) if keys else target.verifier_keys,
        checkpoint_file=file or target.checkpoint_file,
    )
    try:
        found = check_checkpoints(target)
    except KeyUnreadable as unreadable:
        raise CommandError(f"{unreadable}.", "Print it anew: tierline checkpoint key") from None
    except EvidenceMissing as missing:
        raise CommandError(f"{missing}.", "Is the local stack up?  tierline up --detach") from None
    if json:
        print_json({"checkpoints": found.checked, "broken": found.broken, "first": found.first})
    elif found.holds:
        typer.echo(f"{found.checked:,} checkpoints: topic and store agree with every one of them")
    else:
        typer.echo(
            f"BROKEN: {found.broken:,} findings in {found.checked:,} checkpoints\n  first: {found.first}"
        )
        typer.echo("  Stop the orders worker and keep database, topic and checkpoint file as they are.")
    if not found.holds:
        raise typer.Exit(1)
