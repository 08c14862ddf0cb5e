"""Every raw sample of one candidate in one process, as JSON lines.

The first line says what was measured; each further line is one query: ``run`` (``inference`` or
``end_to_end``, or the scenario's name), ``at_ms`` since the first measured query of that run,
``ms``, and where a query has parts, ``<part>_ms`` of each that exists.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts.files import write_text
from allnet_edge.errors import IntegrityError
from allnet_edge.measure.latency import LatencyRun
from allnet_edge.measure.queries import Spans

Times = npt.NDArray[np.float64]

_DIGITS = 6  # of a millisecond: nanoseconds


@dataclass(frozen=True, slots=True, eq=False)
class RawRun:
    """The samples of one run, milliseconds, float64 ``(n,)`` each.

    Attributes:
        at_ms: When each query began.
        ms: How long it took.
        parts: Spans of it, by name; those that do not exist are absent.
    """

    at_ms: Times
    ms: Times
    parts: Mapping[str, Times]

    @classmethod
    def of(cls, run: LatencyRun, spans: Spans | None = None) -> "RawRun":
        """The samples of a run, with the parts of the same queries."""
        at = np.cumsum(run.samples_ms) - run.samples_ms if run.at_ms is None else run.at_ms
        named = {} if spans is None else spans.named()
        parts = {name: values for name, values in named.items() if values is not None}
        return cls(at, run.samples_ms, parts)


def write_samples(path: Path, header: Mapping[str, object], runs: Mapping[str, RawRun]) -> None:
    """Write one file.

    Args:
        path: A ``.jsonl`` file.
        header: What was measured, as plain data.
        runs: By name.
    """
    lines = [json.dumps(dict(header), sort_keys=True)]
    for name, run in runs.items():
        lines += _lines(name, run)
    write_text(path, "\n".join(lines) + "\n")


def _lines(name: str, run: RawRun) -> Iterator[str]:
    columns = {"at_ms": run.at_ms, "ms": run.ms} | {f"{k}_ms": v for k, v in run.parts.items()}
    form = f'{{"run": {json.dumps(name)}, ' + ", ".join(f'"{key}": %.{_DIGITS}f' for key in columns)
    for row in zip(*(values.tolist() for values in columns.values()), strict=True):
        yield form % row + "}"


def read_samples(path: Path) -> tuple[dict[str, object], dict[str, RawRun]]:
    """Read a file that ``write_samples`` wrote.

    Raises:
        IntegrityError: It is absent, damaged or cut short.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            header = json.loads(next(stream, "null"))
            rows: dict[str, list[dict[str, float]]] = {}
            for line in stream:
                row = json.loads(line)
                rows.setdefault(row.pop("run"), []).append(row)
        if not isinstance(header, dict):
            raise ValueError("no header")
        return header, {name: _run(values) for name, values in rows.items()}
    except OSError as error:
        raise IntegrityError(f"cannot read the samples: {error.strerror}", where=path) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            "not a file of raw samples, or one that is damaged",
            where=path,
            fix="measure again",
        ) from error


def _run(rows: "list[dict[str, float]]") -> RawRun:
    columns = {key: _column(rows, key) for key in rows[0]}
    parts = {k.removesuffix("_ms"): v for k, v in columns.items() if k not in ("at_ms", "ms")}
    return RawRun(columns["at_ms"], columns["ms"], parts)


def _column(rows: "Iterable[dict[str, float]]", key: str) -> Times:
    return np.array([row[key] for row in rows], dtype=np.float64)
