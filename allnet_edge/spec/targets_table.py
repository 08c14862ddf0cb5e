"""The table of targets in README.md, made from targets/*.toml.

``python -m allnet_edge.spec.targets_table README.md`` writes it between its two marker lines; a
test holds README and targets together.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from allnet_edge.errors import UsageError
from allnet_edge.spec.target import Figure, Target, all_targets

START = "<!-- targets: made by python -m allnet_edge.spec.targets_table README.md; do not edit -->"
END = "<!-- end of targets -->"

_HEAD = """\
| `--target` | Device | Runs | Precisions | Processor | Memory | Dense TOPS FP16 / INT8 | JetPack |
|---|---|---|---|---|---|---|---|"""


def render(targets: Iterable[Target]) -> str:
    """The table in Markdown, one row a target, with a last newline."""
    rows = [_row(target) for target in targets]
    return "\n".join((_HEAD, *rows)) + "\n"


def replace(text: str, table: str) -> str:
    """The text with the table between its markers.

    Raises:
        UsageError: The markers are not there, once each and in order.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in after or END in after:
        raise UsageError(
            "the text has no place for the table of targets",
            fix=f"put the lines '{START}' and '{END}' into it, once each",
        )
    return f"{before}{START}\n{table}{END}{after}"


def _row(target: Target) -> str:
    names = "".join(f", `{alias}`" for alias in target.aliases)
    cells = (
        f"`{target.name}`{names}",
        target.title,
        _runs(target),
        ", ".join(target.precisions),
        _processor(target),
        _memory(target),
        _tops(target),
        "; ".join(row.version for row in target.jetpack) or "-",
    )
    return f"| {' | '.join(cells)} |"


def _runs(target: Target) -> str:
    by_trtexec = target.jetpack and all(row.serve == "trtexec" for row in target.jetpack)
    return ", ".join(
        "tensorrt (its own trtexec)" if one == "tensorrt" and by_trtexec else one
        for one in target.runtimes
    )


def _processor(target: Target) -> str:
    module = target.module
    if module is None:
        return "-"
    parts = [module.cpu]
    if module.sm:
        parts.append(f"GPU SM {module.sm}{_clock(module.gpu_mhz)}")
    if module.dla:
        parts.append(f"{module.dla} DLA")
    return ", ".join(parts)


def _clock(mhz: Figure | None) -> str:
    return f" at {mhz.value:g} MHz" if mhz else ""


def _memory(target: Target) -> str:
    module = target.module
    if module is None:
        return "-"
    return f"{module.memory_gb.value:g} GB, {module.bandwidth_gb_s.value:g} GB/s"


def _tops(target: Target) -> str:
    module = target.module
    if module is None or module.fp16_tops is None:
        return "-"
    int8 = f"{module.int8_tops.value:g}" if module.int8_tops else "none"
    return f"{module.fp16_tops.value:g} / {int8}"


def main(path: Path) -> None:
    """Rewrite the table in this file."""
    text = path.read_text(encoding="utf-8")
    path.write_text(replace(text, render(all_targets())), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
