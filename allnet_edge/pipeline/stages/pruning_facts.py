"""What the stage ``prune`` recorded, for the report."""

from collections.abc import Iterator, Mapping
from typing import Any

from allnet_edge.artifacts.files import read_json
from allnet_edge.pipeline.stage import Work
from allnet_edge.report import pruning_document as doc

# Any: JSON that an earlier stage of this build wrote, with its hash in stage.json; what is read
# of it becomes a typed document here.
_Row = Mapping[str, Any]


def pruning_of(work: Work) -> doc.Pruning | None:
    """None where nothing was pruned."""
    if "prune" not in work.stages:
        return None
    found: _Row = read_json(work.stages["prune"] / "pruning.json")  # type: ignore[assignment]
    kernels: dict[str, _Row] = found["kernels"]
    eligible = [row["valid_2_4"] for row in kernels.values() if row["valid_2_4"] is not None]
    return doc.Pruning(
        kind=work.recipe.prune.kind,
        zeros=sum(row["sparsity"] * row["weights"] for row in kernels.values())
        / max(1, sum(row["weights"] for row in kernels.values())),
        kernels_2_4=(sum(valid == 1 for valid in eligible), len(eligible)),
        smaller=_smaller(found["channels"]),
        agreements=tuple(_agreements(found)),
    )


def _smaller(channels: _Row | None) -> doc.Smaller | None:
    if channels is None:
        return None
    return doc.Smaller(
        macs=channels["macs"],
        parameters=channels["parameters"],
        layers=tuple(
            doc.Narrowed(layer=name, before=before, after=after)
            for name, (before, after) in channels["channels"].items()
        ),
        left=channels["left"],
    )


def _agreements(found: _Row) -> Iterator[doc.Agreement]:
    channels: _Row = found["channels"] or {}
    if channels.get("before_tuning"):
        yield _agreement("before fine-tuning", channels["before_tuning"])
    for what, rows in (("channels", channels.get("epochs", ())), ("zeros", found["epochs"])):
        for row in rows:
            if row["agreement"] is not None:
                yield _agreement(f"{what}, epoch {row['epoch']}", row)


def _agreement(when: str, row: _Row) -> doc.Agreement:
    return doc.Agreement(
        when=when,
        agreement=row["agreement"],
        accuracy=row["accuracy"],
        mean_difference=row["mean_difference"],
    )
