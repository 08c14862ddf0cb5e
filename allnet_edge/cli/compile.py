"""On the device: build engines, gate, measure, and choose."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app
from allnet_edge.cli.views.phantom import PHANTOM

if TYPE_CHECKING:
    from allnet_edge.device.compile import Compiled
    from allnet_edge.spec.target import Runtime

GATE_FAILED, INVALID, INTEGRITY, INCONCLUSIVE = 5, 6, 7, 8

app = verb_app()


class Mode(str, Enum):
    """Length of the benchmark."""

    quick = "quick"
    standard = "standard"
    full = "full"


@app.command("compile")
def compile_(
    *,
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Images of the build's gate; without them engines are not judged."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="What this device is; the bundle's target by default.")
    ] = None,
    runtimes: Annotated[
        str | None, typer.Option(help="Of: tensorrt,onnx,litert; the target's by default.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Length of the benchmark.")] = Mode.quick,
    workspace: Annotated[
        int | None, typer.Option(min=16, help="Cap of the builder's scratch memory, MiB.")
    ] = None,
    sparse: Annotated[
        bool | None, typer.Option("--sparse/--dense", help="Use 2:4 sparse kernels or not.")
    ] = None,
    dla: Annotated[
        int | None, typer.Option(min=-1, help="Build for this DLA core; -1 for none.")
    ] = None,
    power_mode: Annotated[
        str | None, typer.Option(help="Power mode to measure in, by its name.")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Build also engines that are there and fit.")
    ] = False,
    accept_golden: Annotated[
        bool, typer.Option("--accept-golden", help="Take engines that no gate has judged.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """On the device: build engines, gate, measure, and choose.

    Each ONNX graph of the bundle becomes a TensorRT engine where the target has TensorRT. Every
    candidate is checked with the golden tensors, judged by the gate (with --data), and measured.
    The fastest that passed is chosen; infer and verify then use it. Engines and the choice lie in
    the bundle's folder engine/, outside its signature.
    """
    from allnet_edge.artifacts.bundle import Bundle
    from allnet_edge.device.compile import CompileOptions, compile_bundle
    from allnet_edge.device.compile_engines import EngineSettings
    from allnet_edge.spec.target import load_target

    console = Console(as_json=as_json, quiet=quiet)
    opened = Bundle.open(bundle)
    options = CompileOptions(
        data=data,
        runtimes=_runtimes(runtimes),
        engines=EngineSettings(
            workspace_mb=workspace,
            sparse=sparse,
            dla_core=dla,
            power_mode=power_mode,
            anew=anew,
        ),
        mode=mode.value,
        threads=threads,
        accept_golden=accept_golden,
    )
    with console.progress() as progress:
        made = compile_bundle(
            bundle, load_target(target or opened.manifest.target), options, progress=progress
        )
    console.result(_payload(opened.manifest.name, made), _table(opened.manifest.name, made))
    for text in (*made.notes, *made.choice.remarks):
        console.say(text)
    for text in made.choice.why_invalid:
        console.warn(f"a time that cannot be trusted: {text}")
    if opened.manifest.phantom:
        console.warn(PHANTOM)
    code = _code(made)
    if code:
        raise typer.Exit(code)


def _runtimes(text: str | None) -> "tuple[Runtime, ...] | None":
    from typing import get_args

    from allnet_edge.spec.base import known_name
    from allnet_edge.spec.target import Runtime

    if text is None:
        return None
    known = {str(name): name for name in get_args(Runtime)}
    return tuple(known[known_name("runtime", name.strip(), known)] for name in text.split(","))


def _code(made: "Compiled") -> int:
    """Passed, or why not: the most telling of the reasons."""
    rows = {row.id: row for row in made.choice.rows}
    if made.choice.chosen is not None:
        if rows[made.choice.chosen].verdict == "inconclusive":
            return INCONCLUSIVE
        return INVALID if made.choice.why_invalid else 0
    if any(row.verdict == "fail" for row in rows.values()):
        return GATE_FAILED
    if any(row.golden.status == "differ" for row in rows.values()):
        return INTEGRITY
    return INCONCLUSIVE


def _payload(name: str, made: "Compiled") -> dict[str, object]:
    return {
        "bundle": name,
        **made.choice.model_dump(mode="json"),
        "engines": [one.model_dump(mode="json") for one in made.engines],
        "gate": None if made.gate is None else made.gate.model_dump(mode="json"),
        "notes": list(made.notes),
    }


def _table(name: str, made: "Compiled") -> Table:
    table = Table(
        "candidate",
        "verdict",
        "judged",
        Column("median ms", justify="right"),
        Column("why", overflow="fold"),
        title=f"bundle {name} on this device",
    )
    for row in made.choice.rows:
        chosen = row.id == made.choice.chosen
        table.add_row(
            f"{row.id} *" if chosen else row.id,
            row.verdict,
            row.judged,
            "-" if row.p50_ms is None else f"{row.p50_ms:.3g}",
            row.why,
        )
    return table
