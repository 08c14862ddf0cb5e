"""The white cells of some fields of view: one script, run here and under emulation.

find_on_device.py FIELD [FIELD ...]        one JSON line a field
"""

import json
import sys
from pathlib import Path

import numpy as np

from allnet_edge.data.images import decode
from allnet_edge.device.field import find_cells


def main(*names: str) -> None:
    for name in names:
        cells = find_cells(np.asarray(decode(Path(name))))
        found = [
            {"box": cell.box, "cut": cell.cut, "sharpness": cell.sharpness,
             "diameter": cell.diameter}
            for cell in cells
        ]  # fmt: skip
        sys.stdout.write(json.dumps(found) + "\n")


main(*sys.argv[1:])
