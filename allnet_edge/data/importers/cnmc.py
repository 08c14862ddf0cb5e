"""C-NMC 2019: single cells on black, patients in the file names, three folds and a label CSV.

Source: Gupta and Gupta, ISBI 2019 C-NMC challenge, TCIA, doi 10.7937/tcia.2019.dc64i46r.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from allnet_edge.data.importers.listing import Found, Listing, files_in
from allnet_edge.errors import DataError

FOLDS = ("fold_0", "fold_1", "fold_2")
CLASSES = ("all", "hem")
PRELIM = "prelim"

_TRAINING = ("", "C-NMC_training_data", "training_data")
_PRELIM_PARENTS = ("", "validation_data")
_PRELIM_FOLDER = "C-NMC_test_prelim_phase_data"
_PRELIM_CSV = "C-NMC_test_prelim_phase_data_labels.csv"
_COLUMNS = ("Patient_ID", "new_names", "labels")
_LABEL_OF = {"1": "all", "0": "hem"}
_NAME = re.compile(r"UID_(?P<patient>H?\d+)_\d+_\d+_(?P<label>all|hem)\.\w+", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Whether ``root`` holds the folds, itself or in the folder of the training data."""
    return _training(root) is not None


def read(root: Path) -> Listing:
    """List the training folds and, where present, the labelled preliminary test set.

    Raises:
        DataError: The label file of the preliminary set is absent, unreadable or lacks a column.
    """
    training = _training(root)
    folds = list(_read_folds(training)) if training is not None else []
    prelim, notes = _read_prelim(root)
    return Listing((*folds, *prelim), notes)


def patient_of(name: str) -> tuple[str, str] | None:
    """Patient and class told by a file name, such as ``UID_h3_2_1_hem.bmp``.

    Numbers are reused between the classes, so that the patient carries the class (``hem:H3``).
    The letter stands in both cases for the same person.

    Returns:
        ``(patient, label)``, or None for a name of another pattern.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    label = match["label"].lower()
    return f"{label}:{match['patient'].upper()}", label


def _training(root: Path) -> Path | None:
    for folder in _TRAINING:
        if any((root / folder / fold / label).is_dir() for fold in FOLDS for label in CLASSES):
            return root / folder
    return None


def _read_folds(training: Path) -> Iterator[Found]:
    for fold in FOLDS:
        for label in CLASSES:
            for path in files_in(training / fold / label):
                yield _found(path, path.name, label, fold)


def _found(path: Path, name: str, label: str, part: str) -> Found:
    told = patient_of(name)
    if told is None:
        problem = f"name '{name}' is not UID_<patient>_<image>_<cell>_<all|hem>"
        return Found(path, label, part=part, problem=problem)
    patient, told_label = told
    if told_label != label:
        problem = f"name '{name}' says {told_label}, but its folder or label file says {label}"
        return Found(path, label, part=part, problem=problem)
    return Found(path, label, patient, part)


def _read_prelim(root: Path) -> tuple[list[Found], tuple[str, ...]]:
    for parent in _PRELIM_PARENTS:
        folder = root / parent / _PRELIM_FOLDER
        files = files_in(folder)
        if files:
            return _label_prelim(files, folder.with_name(_PRELIM_CSV))
    return [], ()


def _label_prelim(files: list[Path], table: Path) -> tuple[list[Found], tuple[str, ...]]:
    rows = _read_labels(table)
    found = []
    for path in files:
        row = rows.pop(path.name, None)
        if row is None:
            problem = f"no row in {table.name}"
            found.append(Found(path, "", part=PRELIM, problem=problem))
        elif row[1] not in _LABEL_OF:
            problem = f"label '{row[1]}' in {table.name} is neither 0 nor 1"
            found.append(Found(path, "", part=PRELIM, problem=problem))
        else:
            found.append(_found(path, row[0], _LABEL_OF[row[1]], PRELIM))
    notes = (f"{len(rows):,} rows of {table.name} have no image file",) if rows else ()
    return found, notes


def _read_labels(table: Path) -> dict[str, tuple[str, str]]:
    """Map the new name of each image to its original name and its label."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"cannot read the labels of the preliminary test set: {error}",
            where=table,
            fix=f"put {_PRELIM_CSV} beside the folder {_PRELIM_FOLDER}, or remove that folder",
        ) from error
    missing = [column for column in _COLUMNS if column not in columns]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)} (found: {', '.join(columns) or 'none'})",
            where=table,
            fix=f"the label file needs the columns {', '.join(_COLUMNS)}",
        )
    return {
        (row["new_names"] or "").strip(): (
            (row["Patient_ID"] or "").strip(),
            (row["labels"] or "").strip(),
        )
        for row in rows
    }
