"""How numbers are put into words: one place for digits, units, signs and "not measured"."""

from datetime import timedelta

from allnet_edge.measure.gate_report import Check
from allnet_edge.measure.system import Machine
from allnet_edge.report.document import Estimate, Rung, TargetFacts
from allnet_edge.spec.gate import Verdict

NOT_MEASURED = "not measured"

_SPACE = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
_DASH = "\N{EN DASH}"
_SYMBOLS: dict[Verdict, str] = {
    "pass": "\N{HEAVY CHECK MARK}",
    "fail": "\N{HEAVY MULTIPLICATION X}",
    "inconclusive": "?",
}


def count(value: int | None) -> str:
    """1867 -> ``1,867``."""
    return NOT_MEASURED if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """A share in 0..1 with one decimal; only an exact 1 is called 100 %, only an exact 0 is 0 %."""
    if value is None:
        return NOT_MEASURED
    return _percent_digits(value) + _SPACE + "%"


def _percent_digits(value: float) -> str:
    if value in (0, 1):
        return f"{100 * value:.0f}"
    digits = f"{100 * value:.1f}"
    return {"100.0": ">99.9", "0.0": "<0.1"}.get(digits, digits)


def percent_interval(estimate: Estimate | None) -> str:
    """The two-sided interval of a share: ``95.7-98.5 %``; empty where there is no value at all."""
    if estimate is None:
        return ""
    if estimate.lower is None or estimate.upper is None:
        return "interval " + NOT_MEASURED
    low, high = _percent_digits(estimate.lower), _percent_digits(estimate.upper)
    return f"{low}{_DASH}{high}{_SPACE}%"


def area(value: float | None) -> str:
    """An area under the ROC curve, three decimals."""
    return NOT_MEASURED if value is None else f"{value:.3f}"


def area_interval(estimate: Estimate | None) -> str:
    """The two-sided interval of an area; empty where there is no value at all."""
    if estimate is None:
        return ""
    if estimate.lower is None or estimate.upper is None:
        return "interval " + NOT_MEASURED
    return f"{estimate.lower:.3f}{_DASH}{estimate.upper:.3f}"


def points(delta: float | None) -> str:
    """A difference of shares in percentage points, always signed: ``-0.52 pp``."""
    if delta is None:
        return NOT_MEASURED
    return signed(100 * delta, 2) + _SPACE + "pp"


def signed(value: float, decimals: int) -> str:
    """A number with a plus or a true minus sign; plain zero where it rounds to zero."""
    digits = f"{abs(value):.{decimals}f}"
    if float(digits) == 0:
        return digits
    return (_MINUS if value < 0 else "+") + digits


def scientific(value: float | None) -> str:
    """A largest difference: ``2.1e-06``, or plain digits from a thousandth up."""
    if value is None:
        return NOT_MEASURED
    if value == 0:
        return "0"
    return f"{value:.1e}" if value < 1e-3 else f"{value:.3f}"


def milliseconds(value: float | None) -> str:
    """Three significant digits and the unit."""
    if value is None:
        return NOT_MEASURED
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{decimals}f}{_SPACE}ms"


def size(value: float | None) -> str:
    """Bytes in decimal units, three significant digits: ``26.4 MB``."""
    if value is None:
        return NOT_MEASURED
    if value < 1000:
        return f"{value:.0f}{_SPACE}B"
    for unit, one in (("kB", 1e3), ("MB", 1e6)):
        if value < 999.5 * one:
            return f"{value / one:.3g}{_SPACE}{unit}"
    return f"{value / 1e9:.3g}{_SPACE}GB"


def megabytes(value: float | None) -> str:
    """Like ``size`` for a value that is in megabytes already."""
    return size(None if value is None else value * 1e6)


def mebibytes(value: float | None) -> str:
    """Memory, which is counted in powers of two."""
    return NOT_MEASURED if value is None else f"{value:,.0f}{_SPACE}MiB"


def seconds(value: float | None) -> str:
    """A duration in the units a person would use: ``0.4 s``, ``3 min 12 s``, ``1 h 05 min``."""
    if value is None:
        return NOT_MEASURED
    if value < 60:
        return f"{value:.1f}{_SPACE}s"
    whole = int(timedelta(seconds=round(value)).total_seconds())
    if whole < 3600:
        return f"{whole // 60}{_SPACE}min {whole % 60:02d}{_SPACE}s"
    return f"{whole // 3600}{_SPACE}h {whole % 3600 // 60:02d}{_SPACE}min"


def verdict_word(verdict: Verdict | None) -> str:
    """``pass``, ``fail``, ``inconclusive``, each with its sign; the reference has none."""
    return "reference" if verdict is None else f"{_SYMBOLS[verdict]}{_SPACE}{verdict}"


def verdict_symbol(verdict: Verdict) -> str:
    """One character that differs in shape, so that colour is never needed."""
    return _SYMBOLS[verdict]


def by_point(check: Check) -> bool:
    """The gate judges accuracy and ROC area by the difference itself, the others by its bound."""
    return check.metric in ("accuracy", "auc")


def check_value(check: Check, value: float | None) -> str:
    """A value of the metric itself: an area for AUC, else per cent."""
    return area(value) if check.metric == "auc" else percent(value)


def check_change(check: Check, change: float | None) -> str:
    """A difference in the metric's own unit."""
    if change is None:
        return NOT_MEASURED
    return signed(change, 4) if check.metric == "auc" else points(change)


def check_limit(check: Check) -> str:
    """What the check demands, in words."""
    what = "difference" if by_point(check) else "lower bound"
    return f"{what} at least {check_change(check, -check.margin)}"


def check_outcome(check: Check) -> str:
    """The difference, with the bound where the bound decides."""
    delta = check_change(check, check.delta)
    return delta if by_point(check) else f"{delta}, bound {check_change(check, check.lower)}"


def device_class(name: str, target: TargetFacts) -> str:
    """Where the clock ran, so that nobody takes a host's figure for the device's."""
    if name != "host-proxy":
        return name
    known = f"{target.kind} {target.name} {target.title}".lower()
    device = "a Jetson" if "jetson" in known else target.title
    return f"host-proxy: measured on this machine, not on {device}"


def rung_name(rung: Rung) -> str:
    """``onnx int8``: what it is, without saying the same word twice."""
    words = [rung.rung, rung.engine, rung.precision]
    return " · ".join(word for at, word in enumerate(words) if word and word not in words[:at])


def machine_facts(machine: Machine) -> dict[str, str]:
    """What is known of a machine, by name; what could not be read is "not known"."""
    facts: dict[str, object] = {
        "class": machine.device_class,
        "model": machine.model,
        "processor": machine.cpu,
        "cores": f"{machine.usable_cores} of {machine.cores}",
        "memory": None if machine.memory_mb is None else f"{machine.memory_mb:,} MiB",
        "system": machine.os,
        "kernel": machine.kernel,
        "Jetson Linux": machine.l4t,
        "governor": machine.governor,
        "load, 1 min": machine.load_1min,
        "Python": machine.python,
        **machine.packages,
    }
    return {name: "not known" if value is None else str(value) for name, value in facts.items()}
