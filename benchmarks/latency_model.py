"""Fit the latency model to published times, and see how wrong it is on boards it has not seen.

python benchmarks/latency_model.py    a few seconds on one core; writes

benchmarks/results/latency_model.json    every row, every error
allnet_edge/roofline/constants.json      what the package uses
docs/latency_model.md                    its tables

Each row of the table is estimated with constants that were fitted without any row of its board.
Two harder questions are answered beside it: without the board and the network's whole family, and
without everything that the same people measured.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy is imported

from collections.abc import Callable, Sequence  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from scipy.optimize import least_squares  # noqa: E402

from allnet_edge.artifacts.files import write_json  # noqa: E402
from allnet_edge.roofline import constants as constants_module  # noqa: E402
from allnet_edge.roofline.constants import Constants  # noqa: E402
from allnet_edge.roofline.estimate import works_of  # noqa: E402
from allnet_edge.roofline.gpu import gpu_of  # noqa: E402
from allnet_edge.roofline.graph import read_graph  # noqa: E402
from allnet_edge.roofline.networks import published_graph  # noqa: E402
from allnet_edge.roofline.published import Published, published, published_sha256  # noqa: E402
from allnet_edge.roofline.times import Work, seconds_of  # noqa: E402
from allnet_edge.spec.target import load_target  # noqa: E402

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "latency_model.json"
PAGE = ROOT / "docs" / "latency_model.md"
CONSTANTS = Path(constants_module.__file__).parent / constants_module.FILE
START, END = "<!-- made by python benchmarks/latency_model.py -->", "<!-- end -->"

ROWS_HEAD = (
    "Board, left out", "network", "precision", "pixels", "published ms", "estimate ms", "error",
)  # fmt: skip
NAMES = tuple(Constants.model_fields)
FIRST = np.log([0.6, 1.3, 5.0, 0.5])
LOWEST = np.log([0.05, 1.0, 0.1, 0.01])
HIGHEST = np.log([1.0, 4.0, 100.0, 10.0])
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Kernels:
    """The work of every kernel of every row, side by side, so that a fit takes seconds."""

    row: NDArray[np.intp]
    compute: Floats
    memory: Floats
    winograd: Flags
    gigahertz: Floats
    through_python: Flags

    def milliseconds(self, constants: Constants) -> Floats:
        """The estimate of each row as it was published: with the host, where it has that."""
        gain = np.where(self.winograd, constants.winograd_gain, 1.0)
        busy = np.maximum(self.compute / constants.efficiency / gain, self.memory)
        seconds = busy + 1e-6 * constants.launch_microseconds_ghz / self.gigahertz
        device = 1e3 * np.bincount(self.row, seconds, len(self.through_python))
        return device + self.through_python * constants.host_milliseconds


def all_works(rows: Sequence[Published]) -> list[list[Work]]:
    graphs, works = {}, []
    for row in rows:
        key = (row.network, row.size)
        if key not in graphs:
            graphs[key] = read_graph(published_graph(*key))
        works.append(works_of(graphs[key], row.precision, gpu_of(load_target(row.board))))
    return works


def side_by_side(rows: Sequence[Published], works: list[list[Work]]) -> Kernels:
    flat = [work for one in works for work in one]
    return Kernels(
        row=np.repeat(np.arange(len(rows)), [len(one) for one in works]),
        compute=np.array([one.compute_seconds for one in flat]),
        memory=np.array([one.memory_seconds for one in flat]),
        winograd=np.array([one.winograd for one in flat]),
        gigahertz=np.array([one.gigahertz for one in flat]),
        through_python=np.array([row.through_python for row in rows]),
    )


def fit(kernels: Kernels, published_ms: Floats, boards: NDArray[np.str_], seen: Flags) -> Constants:
    """Least squares of log ratios, each board with one weight however many rows it has.

    Large errors count linearly (soft L1): one odd publication must not bend the rest.
    """
    share = np.array([1 / np.sum(boards == board) for board in boards])

    def misfit(logs: Floats) -> Floats:
        ratio = np.log(kernels.milliseconds(as_constants(logs)) / published_ms)
        pull = 0.05 * (logs - FIRST)  # what the rows say nothing about stays where it was
        return np.concatenate([(ratio * np.sqrt(share))[seen], pull])

    found = least_squares(misfit, FIRST, bounds=(LOWEST, HIGHEST), loss="soft_l1", f_scale=0.3)
    return as_constants(found.x)


def as_constants(logs: Floats) -> Constants:
    bounded = np.exp(np.clip(logs, LOWEST, HIGHEST))
    return Constants(**{name: float(value) for name, value in zip(NAMES, bounded, strict=True)})


def family(network: str) -> str:
    return "yolo" if network.startswith("yolo") else network.rstrip("0123456789.").rstrip("v")


def left_out(
    kernels: Kernels, rows: Sequence[Published], unseen: Callable[[Published, Published], bool]
) -> Floats:
    """Each row estimated by a fit without the rows that ``unseen`` keeps from it, in ms."""
    ms = np.array([row.milliseconds for row in rows])
    boards = np.array([row.board for row in rows])
    found, fits = np.zeros(len(rows)), {}
    for at, row in enumerate(rows):
        seen = np.array([not unseen(row, other) for other in rows])
        key = seen.tobytes()
        if key not in fits:
            fits[key] = kernels.milliseconds(fit(kernels, ms, boards, seen))
        found[at] = fits[key][at]
    return found


def error(over: str, found: Floats, ms: Floats, chosen: Flags) -> dict[str, object]:
    wrong = np.abs(found / ms - 1)[chosen]
    return {
        "over": over,
        "n": int(chosen.sum()),
        "median": round(float(np.median(wrong)), 4),
        "p90": round(float(np.quantile(wrong, 0.9)), 4),
    }


def errors_of(found: Floats, rows: Sequence[Published]) -> dict[str, dict[str, object]]:
    ms = np.array([row.milliseconds for row in rows])
    yolo = np.array([family(row.network) == "yolo" for row in rows])
    return {
        "all": error("all published times", found, ms, np.ones(len(rows), bool)),
        "classifiers": error("published times of classifiers", found, ms, ~yolo),
        "detectors": error("published times of YOLO", found, ms, yolo),
    }


def main() -> None:
    rows = published()
    works = all_works(rows)
    kernels = side_by_side(rows, works)
    ms = np.array([row.milliseconds for row in rows])
    boards = np.array([row.board for row in rows])
    final = rounded(fit(kernels, ms, boards, np.ones(len(rows), bool)))
    check_against_the_package(kernels, works, final)
    ways = {
        "board": left_out(kernels, rows, lambda a, b: a.board == b.board),
        "board and network family": left_out(
            kernels,
            rows,
            lambda a, b: a.board == b.board or family(a.network) == family(b.network),
        ),
        "everything from the same source": left_out(
            kernels, rows, lambda a, b: a.harness == b.harness
        ),
        "nothing (the fit itself)": kernels.milliseconds(final),
    }
    errors = {way: errors_of(found, rows) for way, found in ways.items()}
    write_json(
        CONSTANTS,
        {
            "fitted_by": "python benchmarks/latency_model.py",
            "source_sha256": published_sha256(),
            "constants": final.model_dump(),
            "errors": {name: errors["board"][name] for name in ("all", "classifiers")},
        },
    )
    result = {
        "constants": final.model_dump(),
        "left_out": errors,
        "by_board": by_board(rows, ways["board"]),
        "rows": rows_of(rows, ways["board"], works),
    }
    write_json(RESULT, result)
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), result), encoding="utf-8")
    for way, found in errors.items():
        print(f"without {way}: {words(found['all'])}; classifiers {words(found['classifiers'])}")


def rounded(constants: Constants) -> Constants:
    return Constants(**{name: round(value, 4) for name, value in constants.model_dump().items()})


def check_against_the_package(kernels: Kernels, works: list[list[Work]], final: Constants) -> None:
    """The quick arithmetic above is that of the package."""
    slow = [1e3 * sum(seconds_of(work, final)[0] for work in one) for one in works]
    quick = kernels.milliseconds(final) - kernels.through_python * final.host_milliseconds
    np.testing.assert_allclose(quick, slow, rtol=1e-9)


def rows_of(
    rows: Sequence[Published], found: Floats, works: list[list[Work]]
) -> list[dict[str, object]]:
    return [
        {
            "board": row.board,
            "network": row.network,
            "precision": row.precision,
            "pixels": row.size,
            "kernels": len(one),
            "published_ms": row.milliseconds,
            "estimate_ms": round(float(value), 3),
            "error": round(float(value) / row.milliseconds - 1, 4),
            "source": row.source,
        }
        for row, value, one in zip(rows, found, works, strict=True)
    ]


def by_board(rows: Sequence[Published], found: Floats) -> dict[str, dict[str, object]]:
    ms = np.array([row.milliseconds for row in rows])
    boards = np.array([row.board for row in rows])
    return {
        board: error(f"published times on {board}", found, ms, boards == board)
        for board in sorted(set(boards.tolist()))
    }


def words(found: dict[str, object]) -> str:
    return f"median {found['median']:.0%}, 90th percentile {found['p90']:.0%} (n {found['n']})"


# Any: the rows that this script has just made for its own JSON.
def with_tables(text: str, result: dict[str, Any]) -> str:
    lines = table(
        ("Fitted without", "all", "classifiers", "YOLO"),
        [
            (way, *(words(one) for one in found.values()))
            for way, found in result["left_out"].items()
        ],
    )
    lines += table(
        ("Board, left out", "error"),
        [(f"`{board}`", words(one)) for board, one in result["by_board"].items()],
    )
    lines += table(
        ("Constant, fitted to all rows", "value"),
        [(f"`{name}`", f"{value:g}") for name, value in sorted(result["constants"].items())],
    )
    lines += table(
        ROWS_HEAD,
        [
            (
                f"`{one['board']}`", one["network"], one["precision"], str(one["pixels"]),
                f"{one['published_ms']:g}", f"{one['estimate_ms']:.3g}", f"{one['error']:+.0%}",
            )
            for one in result["rows"]
        ],
    )  # fmt: skip
    before, _, rest = text.partition(START)
    after = rest.partition(END)[2]
    return f"{before}{START}\n" + "\n".join(lines) + f"\n{END}{after}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, an empty one behind."""
    return [*(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)), ""]


if __name__ == "__main__":
    main()
