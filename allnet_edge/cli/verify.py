"""Check a bundle: every hash, the signature, and the golden tensors on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app
from allnet_edge.cli.views.phantom import PHANTOM

if TYPE_CHECKING:
    from allnet_edge.artifacts.bundle import Bundle
    from allnet_edge.device.golden_check import GoldenResult

INTEGRITY = 7

app = verb_app()


@app.command()
def verify(
    *,
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    public_key: Annotated[
        str | None,
        typer.Option(help="Who must have signed: 64 hex digits, or a file that holds them."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Check a bundle: every hash, the signature, and the golden tensors on this machine.

    Exit code 7 when anything differs. A candidate whose runtime is not installed here is told as
    not run, and does not fail the check.
    """
    from allnet_edge.artifacts.bundle import Bundle
    from allnet_edge.device.golden_check import check_golden

    console = Console(as_json=as_json, quiet=quiet)
    opened = Bundle.open(bundle)
    signature = _signature(opened, public_key)
    with console.progress() as progress:
        golden = check_golden(opened, threads=threads, progress=progress)
    failed = [one for one in golden if one.status == "differ"]
    console.result(_payload(opened, signature, golden), _table(opened, signature, golden))
    if opened.manifest.phantom:
        console.warn(PHANTOM)
    if not any(one.status == "match" for one in golden) and not failed:
        console.warn("no candidate could run here: the golden tensors are not checked")
    for one in failed:
        console.warn(f"candidate {one.candidate}: {one.why}")
    if failed:
        raise typer.Exit(INTEGRITY)


def _signature(bundle: "Bundle", public_key: str | None) -> dict[str, object]:
    """What the signature proves; raises where it is wrong, or absent although a key is pinned."""
    from allnet_edge.artifacts import signing
    from allnet_edge.artifacts.bundle import MANIFEST, SIGNATURE
    from allnet_edge.errors import IntegrityError, MissingDependencyError

    pinned = None if public_key is None else signing.public_key(public_key)
    path = bundle.path(SIGNATURE)
    if not path.is_file():
        if pinned is not None:
            raise IntegrityError(
                "the bundle is not signed", where=path, fix="ask its maker for a signed one"
            )
        return {"status": "absent", "key": None, "proves": "nothing: the bundle is not signed"}
    signature = signing.read_signature(path)
    try:
        signing.verify(bundle.path(MANIFEST).read_bytes(), signature, pinned=pinned)
    except MissingDependencyError as error:
        if pinned is not None:
            raise
        return {"status": "not checked", "key": signature.public_key, "proves": error.what}
    proves = (
        "nothing changed since the owner of the pinned key signed"
        if pinned
        else "nothing changed since it was signed, but not who signed (pin --public-key for that)"
    )
    return {"status": "valid", "key": signature.public_key, "proves": proves}


def _payload(
    bundle: "Bundle", signature: dict[str, object], golden: "list[GoldenResult]"
) -> dict[str, object]:
    return {
        "ok": all(one.status != "differ" for one in golden),
        "bundle": bundle.manifest.name,
        "phantom": bundle.manifest.phantom,
        "files": len(bundle.manifest.files),
        "signature": signature,
        "golden": [
            {
                "candidate": one.candidate,
                "status": one.status,
                "largest": one.largest,
                "tolerance": one.tolerance,
                "why": one.why,
            }
            for one in golden
        ],
    }


def _table(bundle: "Bundle", signature: dict[str, object], golden: "list[GoldenResult]") -> Table:
    table = Table("check", "result", "detail", title=f"bundle {bundle.manifest.name}")
    table.add_row("hashes", "match", f"{len(bundle.manifest.files)} files")
    table.add_row("signature", str(signature["status"]), str(signature["proves"]))
    for one in golden:
        detail = one.why or f"largest difference {one.largest:.3g}, allowed {one.tolerance:.3g}"
        table.add_row(f"golden {one.candidate}", one.status, detail)
    return table
