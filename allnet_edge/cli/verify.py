"""Check a bundle: every hash, the signature, the golden tensors here; with data, the gate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app
from allnet_edge.cli.views.phantom import PHANTOM

if TYPE_CHECKING:
    from allnet_edge.artifacts.bundle import Bundle
    from allnet_edge.device.golden_check import GoldenResult
    from allnet_edge.device.judge_again import JudgedAgain

GATE_FAILED, INTEGRITY, MISFIT, INCONCLUSIVE = 5, 7, 3, 8

app = verb_app()


@app.command()
def verify(
    *,
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    public_key: Annotated[
        str | None,
        typer.Option(help="Who must have signed: 64 hex digits, or a file that holds them."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Images of the build's gate: judge every candidate again.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Check a bundle: every hash, the signature, the golden tensors here; with data, the gate.

    Exit code 7 when anything differs, 3 when an engine was made for another device. With --data,
    5 when the candidate that this machine uses fails the gate, 8 when there are too few cells to
    decide. A candidate whose runtime is not installed here is told as not run, and does not fail
    the check.
    """
    from allnet_edge.artifacts.bundle import Bundle
    from allnet_edge.device.golden_check import check_golden
    from allnet_edge.device.judge_again import judge_again, misfit_of

    console = Console(as_json=as_json, quiet=quiet)
    opened = Bundle.open(bundle)
    signature = _signature(opened, public_key)
    gate = None
    with console.progress() as progress:
        golden = check_golden(opened, threads=threads, progress=progress)
        if data is not None:
            matching = [one.candidate for one in golden if one.status == "match"]
            gate = judge_again(opened, data, matching, threads=threads, progress=progress)
    misfit = misfit_of(opened)
    console.result(
        _payload(opened, signature, golden, misfit, gate), _table(opened, signature, golden, gate)
    )
    if opened.manifest.phantom:
        console.warn(PHANTOM)
    wrong = [one for one in golden if one.status in {"differ", "unfit"}]
    if not wrong and not any(one.status == "match" for one in golden):
        console.warn("no candidate could run here: the golden tensors are not checked")
    for one in wrong:
        console.warn(f"candidate {one.candidate}: {one.why}")
    code = _code(golden, misfit, gate)
    if misfit:
        console.warn(misfit)
    if code == MISFIT:
        console.warn(f"make the engines anew on this device: allnet-edge compile {bundle}")
    if code:
        raise typer.Exit(code)


def _code(golden: "list[GoldenResult]", misfit: str | None, gate: "JudgedAgain | None") -> int:
    """The gravest first."""
    seen = {one.status for one in golden}
    if "differ" in seen:
        return INTEGRITY
    if "unfit" in seen or misfit:
        return MISFIT
    if gate is None or gate.in_use is None:
        return 0
    return {"pass": 0, "fail": GATE_FAILED, "inconclusive": INCONCLUSIVE}[gate.in_use.verdict]


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
    bundle: "Bundle",
    signature: dict[str, object],
    golden: "list[GoldenResult]",
    misfit: str | None,
    gate: "JudgedAgain | None",
) -> dict[str, object]:
    return {
        "ok": _code(golden, misfit, gate) == 0,
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
        "misfit": misfit,
        "in_use": None if gate is None or gate.in_use is None else gate.in_use.id,
        "gate": None if gate is None else gate.report.model_dump(mode="json"),
    }


def _table(
    bundle: "Bundle",
    signature: dict[str, object],
    golden: "list[GoldenResult]",
    gate: "JudgedAgain | None",
) -> Table:
    table = Table("check", "result", "detail", title=f"bundle {bundle.manifest.name}")
    table.add_row("hashes", "match", f"{len(bundle.manifest.files)} files")
    table.add_row("signature", str(signature["status"]), str(signature["proves"]))
    for one in golden:
        detail = one.why or f"largest difference {one.largest:.3g}, allowed {one.tolerance:.3g}"
        table.add_row(f"golden {one.candidate}", one.status, detail)
    for judged in () if gate is None else gate.report.candidates:
        decisive = [check.sentence() for check in judged.checks if check.metric != "auc"]
        table.add_row(f"gate {judged.id}", judged.verdict, judged.reason or "\n".join(decisive))
    return table
