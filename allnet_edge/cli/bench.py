"""Measure the latency of a bundle's candidates on this device, so that it can be trusted."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app

INVALID = 6
DEFAULT_OUT = Path("bench")

app = verb_app()


class Mode(str, Enum):
    """How long each process measures."""

    quick = "quick"
    standard = "standard"
    full = "full"


class Scenario(str, Enum):
    """How queries arrive."""

    single_stream = "single-stream"
    offline = "offline"
    camera = "camera"


@app.command()
def bench(
    *,
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    mode: Annotated[
        Mode, typer.Option(help="A first look, at least 60 s, or at least 600 s a process.")
    ] = Mode.quick,
    scenario: Annotated[
        Scenario, typer.Option(help="One cell after the other, a slide's cells, or frames.")
    ] = Scenario.single_stream,
    candidate: Annotated[
        list[str] | None, typer.Option(help="Only this candidate; may be repeated.")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Fresh processes of each; 1 in quick mode, else 5."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Ask with the images of this folder, not with the golden phantoms."),
    ] = None,
    percentile: Annotated[
        list[float] | None, typer.Option(help="A further percentile, such as 99.9; repeatable.")
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames a second of the camera scenario.")] = 30.0,
    cells: Annotated[
        int, typer.Option(min=1, help="Cells of a slide in the offline scenario.")
    ] = 500,
    tegrastats: Annotated[
        Path | None,
        typer.Option(help="A log that `tegrastats --logfile` writes meanwhile."),
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Gets bench.json, bench.html and all samples.")
    ] = DEFAULT_OUT,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Measure the latency of a bundle's candidates on this device.

    Each candidate runs in fresh processes, by turns. Settings of the device are read and written
    down, never changed. Exit code 6 when the figures cannot be trusted; they say why.
    """
    from allnet_edge.artifacts.bundle import Bundle
    from allnet_edge.cli.views.bench import following, summary
    from allnet_edge.device.bench.folder import check_folder, fill_folder
    from allnet_edge.device.bench.run import Bench, Options
    from allnet_edge.measure.sensors.source import this_device

    console = Console(as_json=as_json, quiet=quiet)
    options = Options(
        mode=mode.value,
        scenario=scenario.value,
        candidates=tuple(candidate or ()),
        processes=processes,
        threads=threads,
        images=images,
        frames_a_second=fps,
        slide_cells=cells,
        percentiles=tuple(share / 100 for share in percentile or ()),
    )
    check_folder(out, bundle)
    opened = Bundle.open(bundle)
    with following(quiet=quiet) as follow:
        work = Bench(opened, options, source=this_device(tegrastats), follow=follow)
        report = fill_folder(out, work.measure)
    console.result(
        {**report.model_dump(mode="json"), "out": str(out)},
        summary(report, out, phantom=opened.manifest.phantom),
    )
    if not report.valid:
        for reason in report.why_invalid:
            console.warn(f"INVALID: {reason}")
        raise typer.Exit(INVALID)
