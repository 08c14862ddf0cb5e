"""Two benchmarks: may they be compared, and which candidate became slower beyond the noise?"""

from collections.abc import Sequence

from allnet_edge.device.compare.document import Change, Comparison, SpeedChange
from allnet_edge.device.compare.sides import BenchSide
from allnet_edge.measure.bench_report import BenchReport, BenchRow
from allnet_edge.measure.speed_ratio import MARGIN, speed_ratio

_RANK = {"pass": 0, "inconclusive": 1, "fail": 2}


def compare_benches(a: BenchSide, b: BenchSide, *, margin: float = MARGIN) -> Comparison:
    """Compare.

    Args:
        a: The earlier one, or the one to beat.
        b: The other one; verdicts are on it.
        margin: A difference up to this share counts as none.
    """
    refused = _refused(a.report, b.report)
    invalid = [
        f"{name}: {reason}"
        for name, side in (("A", a), ("B", b))
        for reason in (() if side.report.valid else side.report.why_invalid)
    ]
    pairs, changes = _pairs(a.report, b.report)
    stop = refused[0] if refused else "a side is invalid" if invalid else ""
    speed = [_speed(a, b, pair, margin, stop) for pair in pairs]
    regressions = [
        f"{one.b}: slower, {one.ratio:.3f} times ({one.lower:.3f} to {one.upper:.3f})"
        for one in speed
        if one.verdict == "slower"
    ]
    for first, second in pairs:
        if _RANK[second.verdict] > _RANK[first.verdict]:
            regressions.append(f"{second.id}: gate {first.verdict} -> {second.verdict}")
    return Comparison(
        kind="benchmarks",
        changes=(*changes, *_changed_settings(a.report, b.report)),
        speed=tuple(speed),
        warnings=tuple(_warnings(a.report, b.report, pairs)),
        refused=refused,
        invalid=tuple(invalid),
        regressions=tuple(regressions),
    )


def _refused(a: BenchReport, b: BenchReport) -> tuple[str, ...]:
    """What makes times of two benchmarks incomparable."""
    facts = [
        ("scenario", a.scenario, b.scenario),
        ("class of device", a.device.device_class, b.device.device_class),
        ("device", a.device.model, b.device.model),
        ("processor", a.device.cpu, b.device.cpu),
        ("usable cores", a.device.usable_cores, b.device.usable_cores),
    ]
    if a.conditions is not None and b.conditions is not None:
        facts += [
            ("power mode", a.conditions.power_mode, b.conditions.power_mode),
            ("clocks locked", a.conditions.clocks_locked, b.conditions.clocks_locked),
        ]
    return tuple(
        f"different {what}: {first} and {second}"
        for what, first, second in facts
        if first != second
    )


def _pairs(a: BenchReport, b: BenchReport) -> tuple[list[tuple[BenchRow, BenchRow]], list[Change]]:
    """Rows of the same candidate; two benchmarks of one candidate each are of those two."""
    if len(a.rows) == len(b.rows) == 1:
        return [(a.rows[0], b.rows[0])], _renamed(a.rows[0], b.rows[0])
    others = {row.id: row for row in b.rows}
    pairs = [(row, others[row.id]) for row in a.rows if row.id in others]
    mine = {row.id for row in a.rows}
    changes = [
        Change(what=f"candidate {row.id}", a="measured", b="not measured")
        for row in a.rows
        if row.id not in others
    ]
    changes += [
        Change(what=f"candidate {row.id}", a="not measured", b="measured")
        for row in b.rows
        if row.id not in mine
    ]
    return pairs, changes


def _renamed(a: BenchRow, b: BenchRow) -> list[Change]:
    return [] if a.id == b.id else [Change(what="candidate", a=a.id, b=b.id)]


def _speed(
    a: BenchSide, b: BenchSide, pair: tuple[BenchRow, BenchRow], margin: float, stop: str
) -> SpeedChange:
    first, second = pair
    medians = (first.latency_ms.p50, second.latency_ms.p50)
    stop = stop or _unlike(first, second)
    if not stop and not (first.samples and second.samples):
        stop = "no raw samples beside it: without them the noise is not known"
    if stop:
        return SpeedChange(
            a=first.id, b=second.id, a_p50_ms=medians[0], b_p50_ms=medians[1],
            ratio=None, lower=None, upper=None, verdict="cannot be told", why=stop,
        )  # fmt: skip
    found = speed_ratio(a.samples(first), b.samples(second), margin=margin)
    return SpeedChange(
        a=first.id, b=second.id, a_p50_ms=medians[0], b_p50_ms=medians[1], ratio=found.ratio,
        lower=found.interval.lower, upper=found.interval.upper, verdict=found.verdict,
        why=found.why,
    )  # fmt: skip


def _unlike(first: BenchRow, second: BenchRow) -> str:
    if first.batch != second.batch:
        return f"different queries: {first.batch} and {second.batch} images"
    rates = [row.frames.frames_a_second if row.frames else None for row in (first, second)]
    return "" if rates[0] == rates[1] else f"different rates of the camera: {rates[0]}, {rates[1]}"


def _warnings(
    a: BenchReport, b: BenchReport, pairs: Sequence[tuple[BenchRow, BenchRow]]
) -> list[str]:
    lines = []
    if a.mode != b.mode:
        lines.append(f"different modes: {a.mode} and {b.mode}")
    if a.input is not None and b.input is not None and a.input.sha256 != b.input.sha256:
        lines.append("different images: the input hashes differ")
    lines += [
        f"{second.id}: different threads: {first.threads} and {second.threads}"
        for first, second in pairs
        if first.threads != second.threads
    ]
    return lines


def _changed_settings(a: BenchReport, b: BenchReport) -> list[Change]:
    """What may be the very thing that is compared: software, settings, the bundle."""
    sides = [
        {
            "bundle": one.bundle_sha256,
            "tool": one.tool_version,
            "Jetson Linux": one.device.l4t,
            "kernel": one.device.kernel,
            "Python": one.device.python,
            **one.device.packages,
            **({} if one.conditions is None else one.conditions.model_dump()),
        }
        for one in (a, b)
    ]
    return [
        Change(
            what=what.replace("_", " "), a=_text(sides[0].get(what)), b=_text(sides[1].get(what))
        )
        for what in dict.fromkeys([*sides[0], *sides[1]])
        if sides[0].get(what) != sides[1].get(what)
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
