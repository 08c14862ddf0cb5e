"""Aria 2021: fields of stained smears in four classes; no patient, but numbers in capture order.

Source: Aria et al. 2021, Acute Lymphoblastic Leukemia image set, doi 10.34740/KAGGLE/DSV/2175623.
"""

import re
from pathlib import Path

from allnet_edge.data.importers.listing import Found, Listing, files_in

CLASSES = ("Benign", "Early", "Pre", "Pro")

_NAME = re.compile(r"WBC-(?:Malignant-)?(?P<label>Benign|Early|Pre|Pro)-(?P<number>\d+)\.\w+")


def recognises(root: Path) -> bool:
    """Whether ``root`` has at least two of the class folders with files named as in this set."""
    named = sum(
        any(_NAME.fullmatch(path.name) for path in files_in(root / label)) for label in CLASSES
    )
    return named >= 2


def read(root: Path) -> Listing:
    """List the four class folders; the file number is the position in the capture order."""
    found = [_found(path, label) for label in CLASSES for path in files_in(root / label)]
    return Listing(tuple(found))


def _found(path: Path, label: str) -> Found:
    match = _NAME.fullmatch(path.name)
    if match is None or match["label"] != label:
        problem = f"name '{path.name}' is not WBC-[Malignant-]{label}-<number>"
        return Found(path, label, problem=problem)
    return Found(path, label, order=int(match["number"]))
