"""Phantom cells as arrays, and as a data set on disk in the C-NMC layout."""

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from allnet_edge.artifacts import files
from allnet_edge.data.phantom.cell import Canvas, render
from allnet_edge.data.phantom.population import Patient, draw_cell, draw_patient, stream
from allnet_edge.errors import OutputDirError, StorageError, UsageError
from allnet_edge.progress import Progress, silent

GENERATOR_VERSION = 1
MARKER = "phantom.json"
STATEMENT = "These are phantom cells: synthetic images, no patient. Research use only."
_FEWEST_PATIENTS = 6
_SMALLEST_SIZE = 32
_CELLS_PER_FIELD = 5
_RUN_LENGTHS = 3  # zlib's Z_RLE: for cells on black both faster and smaller than its default


@dataclass(frozen=True, slots=True)
class Phantoms:
    """Phantom cells in memory.

    Attributes:
        images: (n, size, size, 3) uint8 RGB, 0 outside the cell.
        labels: ``all`` or ``hem``, n of them.
        patients: ``all:3``, ``hem:H2``..., n of them.
    """

    images: npt.NDArray[np.uint8]
    labels: tuple[str, ...]
    patients: tuple[str, ...]


def generate(n: int, *, patients: int = 30, seed: int = 0, size: int = 128) -> Phantoms:
    """Makes ``n`` cells, dealt to the patients in turn.

    Cell i of patient p depends on (seed, p, i, size) alone: more cells or more patients never
    change those that were there.

    Args:
        n: Number of cells, at least ``patients``.
        patients: Number of patients, at least 6; six of ten have leukemia.
        seed: Any non-negative number.
        size: Side of the images in pixels, at least 32.

    Raises:
        UsageError: A number that is too small.
    """
    people = _population(n, patients, seed, size)
    canvas = Canvas.of(size)
    images = np.empty((n, size, size, 3), dtype=np.uint8)
    turns = list(_turns(n, people))
    for row, (patient, i) in enumerate(turns):
        images[row] = _image(patient, i, seed, canvas)
    names = tuple(f"{patient.label}:{patient.name}" for patient, _ in turns)
    return Phantoms(images, tuple(patient.label for patient, _ in turns), names)


def write_dataset(  # noqa: PLR0917 - the order is that of the command line
    out: Path,
    images: int,
    patients: int,
    seed: int,
    size: int = 128,
    progress: Progress = silent,
) -> None:
    """Writes phantom cells as PNG files in the folder layout and naming of C-NMC.

    ``out/fold_{0,1,2}/{all,hem}/UID_<patient>_<image>_<cell>_<class>.png`` and ``phantom.json``.
    The folder appears complete or not at all.

    Args:
        out: Folder that does not exist yet or is empty.
        images: Number of cells, at least ``patients``.
        patients: Number of patients, at least 6; each has one class and lies in one fold.
        seed: Any non-negative number; the same seed gives the same files.
        size: Side of the images in pixels, at least 32.
        progress: Hears about every cell.

    Raises:
        UsageError: A number that is too small.
        OutputDirError: ``out`` is a file, is not empty, or cannot be written.
        StorageError: The disk is full or failing.
    """
    people = _population(images, patients, seed, size)
    out = out.resolve()
    _refuse_occupied(out)
    partial = files.temporary_name(out)
    marker = {
        "generator": "allnet-edge phantom",
        "version": GENERATOR_VERSION,
        "seed": seed,
        "images": images,
        "patients": patients,
        "size": size,
        "statement": STATEMENT,
    }
    try:
        files.remove(partial)
        partial.mkdir(parents=True)
        _write_cells(partial, list(_turns(images, people)), seed, size, progress)
        files.write_json(partial / MARKER, marker)
        os.sync()  # one flush of everything is far cheaper than one for each of thousands of files
        if out.exists():
            out.rmdir()  # refuses when somebody has put something there meanwhile
        partial.rename(out)
        files.sync_folder(out.parent)
    except OSError as error:
        raise _explained(error, out) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _population(n: int, patients: int, seed: int, size: int) -> list[Patient]:
    if patients < _FEWEST_PATIENTS:
        raise UsageError(
            f"{patients} patients are too few: both classes are needed in each of three folds",
            fix=f"ask for {_FEWEST_PATIENTS} patients or more",
        )
    if n < patients:
        raise UsageError(
            f"{n} images cannot be dealt to {patients} patients",
            fix=f"ask for {patients} images or more, or for fewer patients",
        )
    if seed < 0:
        raise UsageError(f"seed {seed} is negative", fix="use 0 or a positive whole number")
    if size < _SMALLEST_SIZE:
        raise UsageError(
            f"{size} pixels are too few to show a nucleus",
            fix=f"ask for a size of {_SMALLEST_SIZE} or more",
        )
    return [draw_patient(seed, number) for number in range(patients)]


def _turns(n: int, people: list[Patient]) -> Iterator[tuple[Patient, int]]:
    """The patients in turn, with the running number of each one's cell."""
    for j in range(n):
        i, p = divmod(j, len(people))
        yield people[p], i


def _image(patient: Patient, i: int, seed: int, canvas: Canvas) -> npt.NDArray[np.uint8]:
    rng = stream(seed, patient.number, i)
    traits, optics = draw_cell(patient, rng)
    return render(traits, optics, canvas, rng)


def _write_cells(
    root: Path, turns: list[tuple[Patient, int]], seed: int, size: int, progress: Progress
) -> None:
    canvas = Canvas.of(size)
    for done, (patient, i) in enumerate(turns, start=1):
        folder = root / f"fold_{patient.fold}" / patient.label
        folder.mkdir(parents=True, exist_ok=True)
        field, cell = divmod(i, _CELLS_PER_FIELD)
        name = f"UID_{patient.name}_{field + 1}_{cell + 1}_{patient.label}.png"
        picture = Image.fromarray(_image(patient, i, seed, canvas))
        picture.save(folder / name, compress_level=1, compress_type=_RUN_LENGTHS)
        progress("phantom cells", done, len(turns))


def _refuse_occupied(out: Path) -> None:
    try:
        occupied = out.exists() and (not out.is_dir() or any(out.iterdir()))
    except OSError as error:
        raise _explained(error, out) from error
    if occupied:
        raise OutputDirError(
            "the output folder is not empty" if out.is_dir() else "the output path is a file",
            where=out,
            fix="name a folder that does not exist yet, or empty this one",
        )


def _explained(error: OSError, out: Path) -> OutputDirError | StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return StorageError(
            f"phantom cells could not be stored: {error.strerror}",
            where=out,
            fix="free space, or choose a folder on another disk (5 KB an image at 128 pixels)",
        )
    return OutputDirError(
        f"the output folder cannot be written: {error.strerror}",
        where=error.filename or out,
        fix="choose a folder that you may write to",
    )
