"""How often the checks before the network bite, and how often they fire wrongly, on real images.

    python benchmarks/abstention.py DATA --run RUN [--out-of-scope PBC] [--images 200]

DATA is Aria's set and RUN a network trained on it, whose split and preprocessing are taken. The
appearance is fitted as a build fits it (training part, limits on the validation part), and then:

- whole images as the network is shown them: the validation part, the test part (other captures,
  with an embargo between), and the test part blurred, dimmed, lit up, turned in hue; which share of
  them is refused, by the first reason;
- cells as the microscope finds them in the test part's images and cuts them out, at scale 1: how
  often it refuses cells of the very kind that the network knows;
- the same with PBC's images of normal blood, by type, at the scale that matches the size of their
  nuclei: another laboratory's stain, and cells that the network was never meant for;
- PBC's images against an appearance fitted on PBC's own lymphocytes: other types of cells in the
  same stain, which a check of looks cannot be expected to find;
- phantom cells on black (synthetic), as above for whole images.

Reasons of whole images are without cut and size, which need a cell. Intervals are Wilson's, 95 %;
images of one patient, whom Aria does not name, are taken for independent: they are too narrow.
No image is kept. Written to benchmarks/results/abstention.json.
"""

import argparse
import json
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from allnet_edge.artifacts.appearance import Appearance
from allnet_edge.data.calibration import select, selection_cells
from allnet_edge.data.images import decode, fit
from allnet_edge.data.phantom import write_dataset
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import load_split, make_split
from allnet_edge.device.field import find_cells
from allnet_edge.device.fields.abstention import Quality
from allnet_edge.measure.intervals import wilson
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.stages.appearance import describe
from allnet_edge.segmentation.cell import Cell
from allnet_edge.segmentation.cutting import cut_out
from allnet_edge.spec.network import Preprocess
from allnet_edge.spec.recipe import AppearanceSpec

RESULT = Path(__file__).parent / "results" / "abstention.json"
# Stands in for the cell where a whole image is judged: neither cut nor blurred; size is left out.
ANY = Cell((0, 0, 2, 2), np.ones((2, 2), bool), np.ones((2, 2), bool), False, 1.0)

Change = Callable[[Image.Image], Image.Image]


def blurred(sigma: float) -> Change:
    return lambda image: image.filter(ImageFilter.GaussianBlur(sigma))


def lit(gain: float) -> Change:
    return lambda image: image.point(lambda value: min(255, round(value * gain)))


def turned(degrees: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        hue, saturation, value = image.convert("HSV").split()
        hue = hue.point(lambda one: (one + round(degrees * 256 / 360)) % 256)
        return Image.merge("HSV", (hue, saturation, value)).convert("RGB")

    return change


CHANGES: dict[str, Change] = {
    **{f"blurred, sigma {sigma} px": blurred(sigma) for sigma in (1, 2, 4)},
    **{f"light x {gain}": lit(gain) for gain in (0.4, 0.6, 0.8, 0.9, 1.1, 1.25, 1.5)},
    **{f"hue turned by {degrees} degrees": turned(degrees) for degrees in (10, 20, 45, 90, 180)},
}


def row(name: str, reasons: Iterable[str | None]) -> dict[str, object]:
    counts = Counter(reasons)
    n, passed = counts.total(), counts.pop(None, 0)
    lower, upper = wilson(n - passed, n, 0.975)
    print(f"{name:32} n {n:4}  refused {1 - passed / max(n, 1):6.1%}  {dict(counts)}")
    return {
        "what": name,
        "n": n,
        "refused": n - passed,
        "share": round((n - passed) / n, 4) if n else None,
        "interval_95": [round(lower, 4), round(upper, 4)],
        "by_reason": {str(reason): count for reason, count in counts.most_common()},
    }


def reason_of(quality: Quality, cell: Cell, tensor: np.ndarray, scale: float) -> str | None:
    found = quality.check(cell, tensor, scale)
    return None if found is None else found[0].name


def whole_images(
    known: Appearance, preprocess: Preprocess, index: SampleIndex, parts: dict[str, list[Sample]]
) -> list[dict[str, object]]:
    quality = Quality(known.model_copy(update={"diameter": None}))

    def judged(samples: list[Sample], change: Change = lambda image: image) -> list[str | None]:
        images = (change(decode(index.path(one))) for one in samples)
        return [reason_of(quality, ANY, fit(image, preprocess), 1.0) for image in images]

    rows = [row(name, judged(samples)) for name, samples in parts.items()]
    test = parts["test part"]
    return rows + [row(f"test part, {name}", judged(test, one)) for name, one in CHANGES.items()]


def shown(known: Appearance, preprocess: Preprocess, rgb: np.ndarray, cell: Cell, scale: float):
    """What the network would be shown of a cell."""
    picture = cut_out(rgb, cell, side=known.side, scale=scale, background=known.background)
    return fit(Image.fromarray(picture), preprocess)


def found_cells(
    known: Appearance, preprocess: Preprocess, index: SampleIndex, samples: list[Sample]
) -> dict[str, object]:
    """Every cell of the test part's fields that the border does not cut, at scale 1."""
    quality, reasons = Quality(known), []
    for one in samples:
        rgb = np.asarray(decode(index.path(one)))
        whole = [cell for cell in find_cells(rgb) if not cell.cut]
        tensors = [shown(known, preprocess, rgb, cell, 1.0) for cell in whole]
        reasons += [reason_of(quality, *pair, 1.0) for pair in zip(whole, tensors, strict=True)]
    return row("test part, cells cut out", reasons)


def milliseconds(known: Appearance, preprocess: Preprocess) -> float:
    """Of all checks of one cell that passes them, the median of 200."""
    quality = Quality(known.model_copy(update={"diameter": None}))
    rng = np.random.default_rng(0)
    tensor = rng.integers(120, 200, (preprocess.size, preprocess.size, 3)).astype(np.uint8)
    times = []
    for _ in range(200):
        started = time.perf_counter()
        quality.check(ANY, tensor, 1.0)
        quality.stain_distance(tensor)
        times.append(1000 * (time.perf_counter() - started))
    return round(float(np.median(times)), 2)


def out_of_scope(
    known: Appearance, preprocess: Preprocess, root: Path, images: int
) -> dict[str, object]:
    """The largest cell of each image, cut out as the microscope does it."""
    quality = Quality(known)
    found: dict[str, list[tuple[np.ndarray, Cell]]] = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        for path in sorted(folder.iterdir())[:images]:
            rgb = np.asarray(decode(path))
            whole = [cell for cell in find_cells(rgb) if not cell.cut]
            if whole:
                largest = max(whole, key=lambda cell: cell.nucleus_diameter)
                found.setdefault(folder.name, []).append((rgb, largest))
    nuclei = [cell.nucleus_diameter for pairs in found.values() for _, cell in pairs]
    scale = known.diameter[1] / float(np.median(nuclei)) if known.diameter else 1.0
    rows = []
    for name, pairs in found.items():
        tensors = [(cell, shown(known, preprocess, rgb, cell, scale)) for rgb, cell in pairs]
        made = row(f"PBC, {name}", [reason_of(quality, cell, one, scale) for cell, one in tensors])
        distances = [quality.stain_distance(one) for _, one in tensors]
        made["median_stain_distance"] = round(float(np.median(distances)), 2)
        rows.append(made)
    return {"scale": round(scale, 4), "rows": rows}


def same_laboratory(preprocess: Preprocess, root: Path, cache: Path | None) -> dict[str, object]:
    """PBC's other cells against its own lymphocytes, whole images."""
    index = load_index(root, "folders", cache=cache)
    types = {label: [one for one in index.samples if one.label == label] for label in index.labels}
    own = types.pop("lymphocyte")
    half = len(own) // 2
    known = describe(
        index, own[:half], own[half:], preprocess=preprocess, settings=AppearanceSpec()
    )
    quality = Quality(known.model_copy(update={"diameter": None}))
    rows = []
    for label, samples in types.items():
        tensors = [fit(decode(index.path(one)), preprocess) for one in samples]
        rows.append(
            row(
                f"PBC by its lymphocytes, {label}",
                [reason_of(quality, ANY, one, 1.0) for one in tensors],
            )
        )
    return {"fitted_on": [half, len(own) - half], "rows": rows}


def on_black(cells: int = 1500, size: int = 96) -> list[dict[str, object]]:
    """Phantom cells of 60 synthetic patients, a third of whom the appearance never saw."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "cells"
        write_dataset(root, cells, 60, seed=4, size=size)
        index = load_index(root)
        labels = {"hem": 0, "all": 1}
        split = make_split(index, "patient", seed=0)
        known = describe(
            index,
            select(split, index, 500, 0, labels),
            selection_cells(split, index, 500, 0, labels),
            preprocess=Preprocess(size=size),
            settings=AppearanceSpec(),
        )
        images = [decode(index.path(one)) for one in split.samples("test", index)]
    quality = Quality(known.model_copy(update={"diameter": None}))

    def judged(change: Change) -> list[str | None]:
        tensors = [recut(image, change) for image in images]
        return [reason_of(quality, ANY, tensor, 1.0) for tensor in tensors]

    changes = {"as they are": lambda image: image, **CHANGES}
    return [row(f"phantoms, {name}", judged(one)) for name, one in changes.items()]


def recut(image: Image.Image, change: Change) -> np.ndarray:
    """Change a cell as if it had not been cut out yet."""
    pixels = np.asarray(image)
    inside = pixels.max(axis=2) > 0
    uncut = np.where(inside[..., None], pixels, np.median(pixels[inside], axis=0))
    return np.asarray(change(Image.fromarray(uncut.astype(np.uint8)))) * inside[..., None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out-of-scope", type=Path)
    parser.add_argument("--images", type=int, default=200, help="of a part; 50 of a type of PBC")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--output", type=Path, default=RESULT)
    args = parser.parse_args()
    index, split = load_index(args.data, cache=args.cache), load_split(args.run / "split.json")
    split.verify(index)
    model = float_model.read(args.run)
    preprocess, settings = model.spec.preprocess, AppearanceSpec()
    started = time.perf_counter()
    known = describe(
        index,
        select(split, index, settings.cells, 0, model.label_index),
        selection_cells(split, index, settings.cells, 0, model.label_index),
        preprocess=preprocess,
        settings=settings,
    )
    seconds = time.perf_counter() - started
    rng = np.random.default_rng(1)
    parts = {}
    for part in ("validation", "test"):
        samples = split.samples(part, index)
        chosen = rng.permutation(len(samples))[: args.images]
        parts[f"{part} part"] = [samples[row] for row in sorted(chosen)]
    document = {
        "what": "share of images that the checks before the network refuse, by first reason",
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine_class": f"{platform.machine()} {platform.system()}",
        "network_input": preprocess.size,
        "split": split.protocol,
        "fit_seconds": round(seconds, 1),
        "check_milliseconds": milliseconds(known, preprocess),
        "appearance": known.model_dump(mode="json"),
        "whole_images": whole_images(known, preprocess, index, parts),
    }
    document["cells_of_the_test_part"] = found_cells(known, preprocess, index, parts["test part"])
    if args.out_of_scope is not None:
        document["out_of_scope_cells"] = out_of_scope(known, preprocess, args.out_of_scope, 50)
        document["same_laboratory"] = same_laboratory(preprocess, args.out_of_scope, args.cache)
    document["phantoms_on_black"] = on_black()
    args.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
