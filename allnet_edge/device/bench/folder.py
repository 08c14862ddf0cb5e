"""The output folder of `bench`: whole or absent, never inside the bundle that it is about."""

import os
from collections.abc import Callable
from pathlib import Path

from allnet_edge.artifacts.files import (
    commit_folder,
    is_temporary,
    remove,
    temporary_name,
    write_bytes,
    write_json,
    write_text,
)
from allnet_edge.errors import OutputDirError
from allnet_edge.measure.bench_report import BenchReport
from allnet_edge.report.bench_page import bench_page, bench_plots

BENCH = "bench.json"
_OTHER = "choose another folder with -o; this one is left as it is"


def check_folder(out: Path, bundle: Path) -> None:
    """Refuse before minutes of measuring.

    Raises:
        OutputDirError: A file, a folder of something else, or one inside the bundle.
    """
    if bundle.resolve() in (out.resolve(), *out.resolve().parents):
        raise OutputDirError(
            "the folder lies inside the bundle, which holds what was signed and nothing else",
            where=out,
            fix="choose another folder with -o",
        )
    if out.exists() and not out.is_dir():
        raise OutputDirError("this is a file, no folder", where=out, fix=_OTHER)
    if out.is_dir() and any(out.iterdir()) and not (out / BENCH).is_file():
        raise OutputDirError("the folder holds something else", where=out, fix=_OTHER)


def fill_folder(out: Path, measure: Callable[[Path], BenchReport]) -> BenchReport:
    """Measure into a temporary folder, add the documents, and give it its name.

    An earlier benchmark of that name is replaced at the end, and stays if this one breaks off.
    """
    partial = temporary_name(out)
    _sweep(out)
    try:
        partial.mkdir(parents=True)
        report = measure(partial)
        write_json(partial / BENCH, report.model_dump(mode="json"))
        for name, drawing in bench_plots(report, partial).items():
            write_text(partial / f"{name}.svg", drawing)
        write_bytes(partial / "bench.html", bench_page(report, partial).encode())
        commit_folder(partial, out)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise OutputDirError(
            f"cannot write the folder: {error.strerror}", where=out, fix=_OTHER
        ) from error
    finally:
        remove(partial)
    return report


def _sweep(out: Path) -> None:
    """Remove what a killed run of the same name has left; another one's that still runs stays."""
    for path in out.parent.glob(f"{out.name}.tmp-*"):
        process = path.name.rpartition("-")[2]
        alive = (
            process.isdigit() and int(process) != os.getpid() and Path(f"/proc/{process}").exists()
        )
        if is_temporary(path) and not alive:
            remove(path)
