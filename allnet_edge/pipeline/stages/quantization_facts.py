"""What the stages ``quantize`` and ``mixed`` recorded, for the report."""

from collections.abc import Mapping
from typing import Any, TypeVar

from allnet_edge.artifacts.files import read_json
from allnet_edge.pipeline.stage import Work
from allnet_edge.report import quantization_document as doc
from allnet_edge.spec.base import Frozen

# Any: JSON that an earlier stage of this build wrote, with its hash in stage.json; what is read
# of it becomes a typed document here.
_Row = Mapping[str, Any]
_T = TypeVar("_T", bound=Frozen)


def quantization_of(work: Work) -> doc.Quantization | None:
    """None where nothing was quantized."""
    if "quantize" not in work.stages:
        return None
    calibration: _Row = read_json(work.stages["quantize"] / "calibration.json")  # type: ignore[assignment]
    mixed: _Row = {}
    if "mixed" in work.stages:
        mixed = read_json(work.stages["mixed"] / "mixed.json")  # type: ignore[assignment]
    searched: _Row = mixed.get("formats", {})
    return doc.Quantization(
        images=len(calibration["images"]),
        selection=mixed["selection"]["n"] if mixed else None,
        formats=tuple(
            _format(name, row, searched.get(name)) for name, row in calibration["formats"].items()
        ),
    )


def _format(name: str, ranges: _Row, searched: _Row | None) -> doc.FormatQuantization:
    found = doc.FormatQuantization(
        format=name,
        estimator=ranges["estimator"],
        bias_correction=ranges["bias_correction"],
        stability=_picked(doc.RangeStability, ranges["stability"]),
        trials=tuple(_picked(doc.RangeTrial, row) for row in ranges["tried"]),
        checked=tuple(ranges["checked"]),
        operators=ranges["operators"],
        constant=tuple(ranges["constant"]),
    )
    if searched is None:
        return found
    steps = searched.get("search", {}).get("steps", ())
    return found.model_copy(
        update={
            "mixed": searched["why"],
            "parts": tuple(_cost(row) for row in searched.get("parts", ())),
            "blocks": tuple(_cost(row) for row in searched.get("blocks", ())),
            "tried": tuple(_step(row) for row in steps),
        }
    )


def _cost(row: _Row) -> doc.GroupCost:
    return _picked(doc.GroupCost, {**row, **row["cost"]})


def _step(row: _Row) -> doc.MixtureTried:
    judgement = row["judgement"]
    return doc.MixtureTried(
        kept=row["kept"],
        macs_share=row["macs_share"],
        flips=judgement["cost"]["flips"] if judgement["cost"] else None,
        why=judgement["why"],
    )


def _picked(kind: type[_T], row: _Row) -> _T:
    """The fields that the document has of those that were recorded."""
    return kind.model_validate({name: row.get(name) for name in kind.model_fields})
