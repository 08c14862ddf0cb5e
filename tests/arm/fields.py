"""White cells in fields of view: the same ones on the board and here."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulator import Board
from findings import Failures, Subject
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from phantom_fields import phantom_field

SCRIPT = Path(__file__).with_name("find_on_device.py")
PHANTOMS = 4
# OpenCV's kernels may round in another way on another processor.
PIXELS = 1
SHARPNESS = 0.01


def check(
    subject: Subject,
    board: Board,
    real: list[Path],
    folder: Path,
    *,
    here: Callable[..., str],
    failures: Failures,
) -> None:
    """Find cells on phantom fields and on real ones, then ask ``infer --field`` on both sides."""
    fields = [*_phantoms(folder), *real]
    ours = _found(here(SCRIPT, *fields))
    theirs = _found(board.python(SCRIPT, *fields).stdout)
    failures.check(any(ours), "no white cell was found in any field here")
    for path, mine, other in zip(fields, ours, theirs, strict=True):
        for wrong in differences(mine, other):
            failures.check(False, f"{path.name}: {wrong}")
    arguments = ["-m", "allnet_edge", "infer", subject.bundle, *fields, "--field", "--threads", 1,
                 "--candidate", "litert-int8", "--json"]  # fmt: skip
    expected, told = (
        json.loads(run) for run in (here(*arguments), board.python(*arguments).stdout)
    )
    same = expected["counts"] == told["counts"]
    failures.check(same, f"infer --field: {told['counts']}, here {expected['counts']}")
    print(f"  {sum(map(len, ours))} cells in {len(fields)} fields; {json.dumps(told['counts'])}")  # noqa: T201


# Any, here and below: cells as `infer --json` prints them, compared key by key.
def differences(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[str]:
    """What of one field is not alike; boxes may differ by a pixel."""
    if len(ours) != len(theirs):
        return [f"{len(theirs)} cells, here {len(ours)}"]
    wrong = []
    for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        gap = max(abs(a - b) for a, b in zip(mine["box"], other["box"], strict=True))
        focus = abs(mine["sharpness"] - other["sharpness"])
        if gap > PIXELS or mine["cut"] != other["cut"] or focus > SHARPNESS:
            wrong.append(f"cell {number}: {other}, here {mine}")
    return wrong


def _found(printed: str) -> list[list[dict[str, Any]]]:
    return [json.loads(line) for line in printed.strip().splitlines()]


def _phantoms(folder: Path) -> list[Path]:
    folder.mkdir()
    paths = []
    for seed in range(PHANTOMS):
        path = folder / f"field-{seed}.png"
        Image.fromarray(phantom_field(seed, 5, touching=seed % 2 == 1)[0]).save(path)
        paths.append(path)
    return paths
