"""What `data check` finds in the real image sets, without any path or image in the result.

python benchmarks/data_checks.py FOLDER_OF_SETS      writes benchmarks/results/data_checks.json
"""

import sys
import time
from datetime import date
from pathlib import Path

from allnet_edge.artifacts.files import write_json
from allnet_edge.data.check import check
from allnet_edge.measure.system import describe

RESULT = Path(__file__).parent / "results" / "data_checks.json"


def main() -> None:
    root = Path(sys.argv[1])
    sets = {}
    for name in ("cnmc", "aria2021"):
        began = time.perf_counter()
        found = check(root / name)
        sets[name] = {
            "images": found.images,
            "usable": found.usable,
            "classes": found.classes,
            "parts": found.parts,
            "patients": found.patients,
            "byte_identical_groups": len(found.duplicates),
            "files_in_them": sum(len(group) for group in found.duplicates),
            "near_identical_groups": len(found.near_duplicates),
            "merged_patients": found.merged_patients,
            "seconds": round(time.perf_counter() - began, 1),
        }
    figures = {
        "date": date.today().isoformat(),
        "machine": describe().model_dump(mode="json"),
        "sets": sets,
    }
    write_json(RESULT, figures)
    print(sets)


if __name__ == "__main__":
    main()
