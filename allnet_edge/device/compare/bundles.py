"""Two bundles: files, candidates, thresholds and verdicts; what changed, and what became worse."""

from collections.abc import Mapping

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.files import read_json
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.device.bench.verdicts import GATE
from allnet_edge.device.compare.document import Change, Comparison
from allnet_edge.measure.gate_report import GateReport
from allnet_edge.spec.base import parse

_RANK = {None: 1, "pass": 0, "inconclusive": 1, "fail": 2}


def compare_bundles(a: Bundle, b: Bundle) -> Comparison:
    """Compare; a regression is a verdict that became worse, or a chosen candidate that did.

    Times are not compared: a bundle's benchmark is the build machine's, and has no raw samples.
    """
    changes = [
        *_of_manifests(a, b),
        *_of_candidates(a, b),
        *_of_thresholds(a, b),
        *_of_gates(a, b),
        *_of_files(a, b),
    ]
    return Comparison(
        kind="bundles",
        changes=tuple(changes),
        regressions=tuple(_regressions(a, b)),
        warnings=tuple(_warnings(a, b)),
    )


def _of_manifests(a: Bundle, b: Bundle) -> list[Change]:
    sides = []
    for bundle in (a, b):
        one = bundle.manifest
        sides.append(
            {
                "name": one.name,
                "model": one.model,
                "target": one.target,
                "classes": ", ".join(one.classes),
                "positive class": one.positive,
                "float weights": one.source.float_sha256,
                "training run": one.source.run_sha256,
                "cells": None if one.data is None else f"{one.data.layout}, {one.data.split}",
                "needs allnet-edge": one.requires.allnet_edge,
                **{f"needs {name}": version for name, version in one.requires.runtimes.items()},
                **{f"preprocessing {key}": str(v) for key, v in dict(bundle.preprocess).items()},
            }
        )
    return _differences(*sides)


def _of_candidates(a: Bundle, b: Bundle) -> list[Change]:
    sides = [
        {f"candidate {one.id}": _candidate(bundle, one) for one in bundle.manifest.candidates}
        for bundle in (a, b)
    ]
    chosen = [bundle.chosen.id if bundle.chosen else None for bundle in (a, b)]
    return [*_differences({"chosen": chosen[0]}, {"chosen": chosen[1]}), *_differences(*sides)]


def _candidate(bundle: Bundle, one: Candidate) -> str:
    return f"gate {one.verdict or 'not asked'}, sha256 {bundle.file_sha256(one)[:12]}"


def _of_thresholds(a: Bundle, b: Bundle) -> list[Change]:
    sides = []
    for bundle in (a, b):
        texts = {}
        for name, rule in bundle.thresholds.items():
            band = (
                "" if rule.abstain is None else ", abstains {:.4f} to {:.4f}".format(*rule.abstain)
            )
            texts[f"threshold {name}"] = f"{rule.threshold:.6f}{band}"
        sides.append(texts)
    return _differences(*sides)


def _of_gates(a: Bundle, b: Bundle) -> list[Change]:
    return _differences(_figures(a), _figures(b))


def _figures(bundle: Bundle) -> dict[str, str | None]:
    """What the gate found for each candidate, and on how many cells."""
    if GATE not in bundle.manifest.files:
        return {}
    path = bundle.path(GATE)
    gate = parse(read_json(path), GateReport, where=path)
    figures: dict[str, str | None] = {"gate cells": str(gate.n)}
    for one in gate.candidates:
        for check in one.checks:
            figures[f"{check.metric} {one.id}"] = check.sentence().removeprefix(check.metric)
    return figures


def _of_files(a: Bundle, b: Bundle) -> list[Change]:
    """Every other file by its hash; those of candidates stand above."""
    models = {one.file for bundle in (a, b) for one in bundle.manifest.candidates}
    sides = [
        {
            f"file {name}": sha[:12]
            for name, sha in bundle.manifest.files.items()
            if name not in models
        }
        for bundle in (a, b)
    ]
    return _differences(*sides)


def _differences(a: Mapping[str, str | None], b: Mapping[str, str | None]) -> list[Change]:
    return [
        Change(what=what, a=a.get(what), b=b.get(what))
        for what in dict.fromkeys([*a, *b])
        if a.get(what) != b.get(what)
    ]


def _regressions(a: Bundle, b: Bundle) -> list[str]:
    lines = []
    others = {one.id: one for one in b.manifest.candidates}
    for one in a.manifest.candidates:
        other = others.get(one.id)
        if other is None:
            if one.chosen or one.verdict == "pass":
                lines.append(f"{one.id}: {one.verdict or 'not asked'} in A, not in B")
        elif _RANK[other.verdict] > _RANK[one.verdict]:
            lines.append(f"{one.id}: gate {one.verdict} -> {other.verdict}")
    if a.chosen and b.chosen and a.chosen.id != b.chosen.id:
        if _RANK[b.chosen.verdict] > _RANK[a.chosen.verdict]:
            lines.append(
                f"chosen: {a.chosen.id} (gate {a.chosen.verdict}) -> {b.chosen.id} "
                f"(gate {b.chosen.verdict})"
            )
    elif a.chosen and not b.chosen:
        lines.append(f"chosen: {a.chosen.id} -> none")
    return lines


def _warnings(a: Bundle, b: Bundle) -> list[str]:
    if a.manifest.data != b.manifest.data:
        return ["judged on different cells: figures of the gates are not comparable one by one"]
    return []
