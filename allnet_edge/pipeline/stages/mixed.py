"""Int8 with higher precision where int8 costs too much, found on validation cells."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import tf_keras

from allnet_edge import models
from allnet_edge.artifacts import files
from allnet_edge.artifacts.files import write_bytes, write_json
from allnet_edge.convert.int8_from_tflite import int8_from_tflite
from allnet_edge.convert.mixed_from_qdq import mixed_from_qdq
from allnet_edge.convert.nodes_of_layers import nodes_of_layers
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.ranges import read_ranges
from allnet_edge.errors import GateFailed
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.graph_rules import require_qdq_rules, require_sparsity
from allnet_edge.pipeline.stages.selecting import ahead_of, selection_of
from allnet_edge.search.groups import Group, Layer, blocks, layers_of, parts
from allnet_edge.search.mixed import find
from allnet_edge.search.selection import Judgement, Selection
from allnet_edge.search.sensitivity import Sensitivity, answers_of, measure


def run(work: Work) -> None:
    """Write ``mixed.json``, and ``model.mixed.onnx`` and ``model.mixed.tflite`` where int8 alone is
    not acceptable on the validation cells.
    """
    selection = selection_of(work, work.recipe.mixed.images)
    # What counts here is the loss by precision; that by pruning, or a teacher's lead, no precision
    # makes good.
    selection = replace(selection, reference=selection.base, ahead=ahead_of(work))
    spec = float_model.read(work.float_model).spec
    layers = layers_of(models.build(tf_keras, spec))
    formats: dict[str, object] = {}
    for forms in (OnnxForms(work), TfliteForms(work)):
        if forms.export in work.stages:
            search = _Search(work, forms, selection, layers, spec.network)
            formats[forms.format] = search.run()
    of = selection.cells
    write_json(
        work.folder / "mixed.json",
        {
            "selection": {
                "part": "validation", "n": len(of), "positives": of.positives,
                "patients": of.patient_count,
            },
            "formats": formats,
        },
    )  # fmt: skip


class _Forms(Protocol):
    """How one format is quantized again and again, from ranges that were observed once."""

    format: str
    export: str

    def quantize(self, kept: frozenset[str]) -> Path:
        """A form with these layers in float, all others int8."""

    def write(self, kept: frozenset[str]) -> Path:
        """The same as a candidate."""


class OnnxForms:
    """For TensorRT and onnxruntime: Q/DQ, and float16 where precision was given back."""

    format, export = "onnx", "export_onnx"

    def __init__(self, work: Work) -> None:
        self._work = work

    def quantize(self, kept: frozenset[str]) -> Path:
        """A form with these layers in float, all others int8."""
        source = self._work.stages[self.export] / "model.fp32.onnx"
        ranges = read_ranges(self._work.stages["quantize"] / "ranges_onnx.json")
        path = self._work.partial / "trial.onnx"
        qdq_from_onnx(
            source,
            path,
            ranges.by_tensor,
            keep_float=self._nodes(kept),
            channel_means=ranges.means_to_use,
        )
        return path

    def write(self, kept: frozenset[str]) -> Path:
        """The same as a candidate."""
        path, nodes = self._work.folder / "model.mixed.onnx", self._nodes(kept)
        quantized = self.quantize(kept)
        require_qdq_rules(quantized, keep_float=nodes)
        mixed_from_qdq(quantized, path, nodes)
        require_sparsity(path, self._work.recipe.prune)
        return path

    def _nodes(self, kept: frozenset[str]) -> list[str]:
        nodes = nodes_of_layers(self._work.stages[self.export] / "model.fp32.onnx")
        return sorted(node for layer in kept for node in nodes[layer])


class TfliteForms:
    """For LiteRT: int8, and float32 where precision was given back."""

    format, export = "tflite", "export_tflite"

    def __init__(self, work: Work) -> None:
        self._work = work

    def quantize(self, kept: frozenset[str]) -> Path:
        """A form with these layers in float, all others int8."""
        path = self._work.partial / "trial.tflite"
        write_bytes(path, self._quantized(kept))
        return path

    def write(self, kept: frozenset[str]) -> Path:
        """The same as a candidate."""
        path = self._work.folder / "model.mixed.tflite"
        write_bytes(path, self._quantized(kept))
        return path

    def _quantized(self, kept: frozenset[str]) -> bytes:
        ranges = read_ranges(self._work.stages["quantize"] / "ranges_tflite.json")
        return int8_from_tflite(
            self._work.stages[self.export] / "model.fp32.tflite",
            ranges.by_tensor,
            keep_float=sorted(kept),
            channel_means=ranges.means_to_use,
        )


class _Search:
    """The search for one format."""

    def __init__(
        self,
        work: Work,
        forms: _Forms,
        selection: Selection,
        layers: Sequence[Layer],
        network: str,
    ) -> None:
        self._work, self._forms, self._selection = work, forms, selection
        self._groups = {"parts": parts(layers, network), "blocks": blocks(layers)}

    def run(self) -> dict[str, object]:
        """What was tried and found, for ``mixed.json``."""
        wanted = self._work.recipe.mixed.sensitivity
        int8 = self._judge(frozenset())
        found: dict[str, object] = {"int8": int8.model_dump(mode="json"), "made": False}
        measured: dict[str, tuple[Sensitivity, ...]] = {}
        for kind, groups in self._groups.items():
            needed = kind == "blocks" and not int8.acceptable
            if needed or wanted == kind or (wanted == "blocks" and kind == "parts"):
                measured[kind] = self._measure(groups)
                found[kind] = [row.model_dump(mode="json") for row in measured[kind]]
        if int8.acceptable:
            return {**found, "why": "int8 alone is acceptable on the validation cells"}
        noise = {row.group: row.cost.noise for row in measured["blocks"]}
        try:
            best = find(self._groups["blocks"], noise, self._judge, self._work.progress)
        except GateFailed as error:
            return {**found, "why": error.what}
        if len(best.kept) == len(noise):
            search = best.model_dump(mode="json")
            return {**found, "why": "no block can be int8 without a loss", "search": search}
        kept = frozenset(best.layers)
        path = self._forms.write(kept)
        written = self._judge_file(path)
        found["written"] = written.model_dump(mode="json")
        if not written.acceptable:  # its float16 islands cost what float32 ones did not
            files.remove(path)
            search = best.model_dump(mode="json")
            return {**found, "why": f"the mixture as written: {written.why}", "search": search}
        self._work.log.info(
            "%s: %d blocks, %.1f %% of the MACs, given back: %s",
            self._forms.format, len(best.kept), 100 * best.macs_share, ", ".join(best.kept),
        )  # fmt: skip
        return {
            **found,
            "made": True,
            "why": f"int8 alone is not acceptable: {int8.why}",
            "search": best.model_dump(mode="json"),
        }

    def _measure(self, groups: Sequence[Group]) -> tuple[Sensitivity, ...]:
        return measure(
            groups,
            self._forms.quantize,
            self._selection,
            threads=self._work.recipe.bench.threads,
            progress=self._work.progress,
        )

    def _judge(self, kept: frozenset[str]) -> Judgement:
        return self._judge_file(self._forms.quantize(kept))

    def _judge_file(self, path: Path) -> Judgement:
        threads = self._work.recipe.bench.threads
        return self._selection.judge(answers_of(path, self._selection, threads))
