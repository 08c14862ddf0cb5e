"""The report: everything that the build found, gathered into one document and rendered."""

import csv
import json
import zlib
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts.builddir import StageRecord as Record
from allnet_edge.artifacts.files import read_json, write_text
from allnet_edge.data.samples import SampleIndex
from allnet_edge.data.split import Split
from allnet_edge.measure.bench_report import BenchReport
from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.measure.estimates import estimate
from allnet_edge.measure.gate_report import GateCandidate, GateReport
from allnet_edge.measure.metrics import confusion, roc_curve
from allnet_edge.measure.system import describe
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import FloatModel
from allnet_edge.pipeline.candidates import Form
from allnet_edge.pipeline.choose import Choice, choose
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.pruning_facts import pruning_of
from allnet_edge.pipeline.stages.quantization_facts import quantization_of
from allnet_edge.pipeline.stages.scoring import Judged, Reference
from allnet_edge.pipeline.stages.steps import is_step, steps_of
from allnet_edge.report import document as doc
from allnet_edge.report.model_card import model_card
from allnet_edge.report.render import render_html, render_markdown
from allnet_edge.report.sentence import verdict_sentence
from allnet_edge.report.thumbnails import thumbnail

_MOST_FLIPS = 96  # thumbnails in the page; flips.csv has all


def run(work: Work) -> None:
    """Write ``report.html``, ``report.md``, ``report.json`` and ``model_card.md``."""
    document = _Gatherer(work).document()
    write_text(work.folder / "report.json", document.to_json())
    write_text(work.folder / "report.html", render_html(document))
    write_text(work.folder / "report.md", render_markdown(document))
    write_text(work.folder / "model_card.md", model_card(document))


class _Gatherer:
    """Reads the stages' files once; each method makes one part of the document."""

    def __init__(self, work: Work) -> None:
        self.work = work
        stages = work.stages
        self.model: FloatModel = work.sources.model()
        self.index: SampleIndex
        self.split: Split
        self.index, self.split = work.sources.load(work.progress)
        self.gate = GateReport.model_validate_json((stages["gate"] / "gate.json").read_bytes())
        self.bench = BenchReport.model_validate_json(
            (stages["benchmark"] / "bench.json").read_bytes()
        )
        self.choice: Choice = choose(self.gate, self.bench)
        self.test = Judged.of("test", self.index, self.split, self.model)
        validation = Judged.of("validation", self.index, self.split, self.model)
        self.reference = Reference.read(work, validation.cells, self.test.cells)
        with np.load(stages["gate"] / "scores.npz") as stored:
            self.scores = {name: stored[name] for name in stored.files}
        self.rungs = _mapping(stages["gate"] / "rungs.json")
        self.thresholds = _mapping(stages["gate"] / "thresholds.json")

    def document(self) -> doc.ReportDocument:
        work = self.work
        ladder = self._ladder()
        target = doc.TargetFacts(
            name=work.target.name, title=work.target.title, kind=work.target.kind
        )
        chosen = self.choice.chosen
        spec = self.model.spec
        return doc.ReportDocument(
            title=f"{spec.network} for {work.target.title}",
            created=datetime.now(timezone.utc).replace(microsecond=0),
            phantom=self.index.layout == "phantom",
            verdict=doc.Summary(
                verdict=self.gate.verdict,
                sentence=verdict_sentence(self.gate.verdict, ladder, self.bench, target),
                chosen=chosen,
                why=self.choice.why[chosen] if chosen else "every candidate failed the gate",
            ),
            target=target,
            data=self._data(),
            gate=doc.GateFacts.of(self.gate, self._estimates_method()),
            ladder=ladder,
            latency=self.bench,
            sizes=self._sizes(),
            compile_proofs=self._proofs(),
            flips=self._flips(),
            pruning=pruning_of(work),
            quantization=quantization_of(work),
            lineage=self._lineage(),
            versions=self._versions(),
            machine=describe(),
            recipe=work.recipe.model_dump(mode="json"),
            training=self._training(),
            warnings=self._warnings(),
        )

    def _estimates_method(self) -> str:
        return estimate(self.test.cells, self._float_scores(), resamples=200).method

    def _float_scores(self) -> Scores:
        return Scores(self.reference.test, self.reference.threshold)

    def _ladder(self) -> tuple[doc.Rung, ...]:
        reference = doc.Rung(
            id="keras", rung="keras", engine="keras", precision="fp32", n=len(self.test.cells)
        )
        rungs = [self._scored(reference, self._float_scores())]
        for step in steps_of(self.work):
            verdict = GateCandidate.model_validate_json(
                step.verdict(self.work.stages["gate"]).read_bytes()
            )
            rung = reference.model_copy(
                update={
                    "id": step.id,
                    "rung": step.rung,
                    "verdict": verdict.verdict,
                    "checks": verdict.checks,
                    "flips": verdict.flips,
                    "why": step.shows,
                }
            )
            rungs.append(self._scored(rung, self._scores_of(step.id)))
        rungs += [self._candidate(form) for form in self.work.forms]
        return tuple(rungs)

    def _scores_of(self, name: str) -> Scores | None:
        threshold = self.thresholds[name]["threshold"]
        scores = self.scores[name]
        if threshold is None or not np.isfinite(scores).all():
            return None
        return Scores(scores, float(str(threshold)))

    def _candidate(self, form: Form) -> doc.Rung:
        verdict = next(c for c in self.gate.candidates if c.id == form.id)
        rung = doc.Rung(
            id=form.id,
            rung=form.rung,
            engine=form.engine,
            precision=form.precision,
            n=len(self.test.cells),
            verdict=verdict.verdict,
            checks=verdict.checks,
            flips=verdict.flips,
            chosen=form.id == self.choice.chosen,
            why=self.choice.why[form.id],
        )
        return self._scored(rung, self._scores_of(form.id))

    def _scored(self, base: doc.Rung, scores: Scores | None) -> doc.Rung:
        """The rung with its figures; as it is where the network gave no usable scores."""
        cells: Cells = self.test.cells
        if scores is None:
            return base
        found = estimate(cells, scores)
        counts = confusion(cells.labels, scores.scores, scores.threshold)
        curve = roc_curve(cells.labels, scores.scores)
        difference = self.rungs.get(base.id, {}).get("max_abs_difference")
        parts = {
            metric: doc.Estimate(
                value=value.value, lower=value.interval.lower, upper=value.interval.upper
            )
            for metric, value in (
                ("accuracy", found.accuracy),
                ("sensitivity", found.sensitivity),
                ("specificity", found.specificity),
                ("auc", found.auc),
            )
        }
        return base.model_copy(
            update={
                **parts,
                "confusion": doc.Confusion(tp=counts.tp, fn=counts.fn, tn=counts.tn, fp=counts.fp),
                "roc": _pairs(curve.fpr, curve.tpr),
                "threshold": scores.threshold,
                "max_abs_difference": difference,
            }
        )

    def _data(self) -> doc.DataFacts:
        split, classes = self.split, self.model.spec.classes
        known = all(m.patient is not None for part in split.parts.values() for m in part)
        return doc.DataFacts(
            layout=self.index.layout,
            protocol=split.protocol,
            leaking=split.leaking,
            why=split.why,
            n={name: len(members) for name, members in split.parts.items()},
            patients={name: len({m.patient for m in ms}) for name, ms in split.parts.items()}
            if known
            else None,
            index_sha256=split.index_sha256,
            classes=classes,
            positive=(classes[1],),
        )

    def _sizes(self) -> tuple[doc.FileSize, ...]:
        sizes = []
        for form in self.work.forms:
            data = form.path(self.work.stages).read_bytes()
            zipped = len(zlib.compress(data, 6))
            sizes.append(doc.FileSize(file=form.file, raw_bytes=len(data), zipped_bytes=zipped))
        return tuple(sizes)

    def _proofs(self) -> tuple[doc.CompileProof, ...]:
        if "compile" not in self.work.stages:
            return ()
        rows = _rows(self.work.stages["compile"] / "compile.json", "rows")
        return tuple(
            doc.CompileProof.model_validate(
                {name: row.get(name) for name in doc.CompileProof.model_fields if name in row}
            )
            for row in rows
            if row["sm"] is not None
        )

    def _flips(self) -> tuple[doc.Flip, ...]:
        path = self.work.stages["gate"] / "flips.csv"
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if not is_step(row["candidate"])]
        where = dict(zip(self.test.cells.ids, self.test.paths, strict=True))
        pictures = {name: thumbnail(where[name]) for name in _first(rows, _MOST_FLIPS)}
        classes = self.model.spec.classes
        return tuple(
            doc.Flip.model_validate(
                {
                    "id": row["id"],
                    "label": classes[int(row["positive"])],
                    "float_score": float(row["float_score"]),
                    "edge_score": float(row["edge_score"]),
                    "candidate": row["candidate"],
                    "direction": row["direction"],
                    "thumbnail": pictures.get(row["id"]),
                }
            )
            for row in rows
        )

    def _lineage(self) -> tuple[doc.StageRecord, ...]:
        rows = []
        for name, folder in self.work.stages.items():
            path = folder / "stage.json"
            if not path.is_file():
                continue
            record = Record.model_validate_json(path.read_bytes())
            rows.append(
                doc.StageRecord(
                    stage=name,
                    key=record.key,
                    parents=tuple(
                        one.removeprefix("stage:")
                        for one in record.inputs
                        if one.startswith("stage:")
                    ),
                    seconds=record.seconds,
                    files=len(record.files),
                )
            )
        return tuple(rows)

    def _versions(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for folder in self.work.stages.values():
            path = folder / "stage.json"
            if path.is_file():
                found |= Record.model_validate_json(path.read_bytes()).tools
        return dict(sorted(found.items()))

    def _training(self) -> doc.Training | None:
        path = self.work.sources.run / "history.json"
        if not path.is_file():
            return None
        best = self.model.record.settings.get("best_epoch")
        return doc.Training(
            history=tuple(doc.Epoch.model_validate(row) for row in json.loads(path.read_bytes())),
            best_epoch=int(best) if best is not None else None,
        )

    def _warnings(self) -> tuple[str, ...]:
        found = []
        if self.split.leaking:
            found.append(f"the split leaks: {self.split.why}")
        against = self.work.sources.against
        if against is not None:
            judge = float_model.read(against)
            found.append(
                f"every candidate is judged against another network, the {judge.spec.network} with "
                f"weights {judge.weights_sha256[:12]}, and not against the one it was made from"
            )
        if self.gate.patients is None:
            found.append("patients are unknown, so intervals take the cells as independent")
        found += self._unproven()
        if not self.bench.valid:
            found.append("the benchmark is not valid: " + "; ".join(self.bench.why_invalid))
        return tuple(found)

    def _unproven(self) -> list[str]:
        """Graphs that TensorRT refused, or why nothing was proven."""
        if "compile" not in self.work.stages:
            return []
        path = self.work.stages["compile"] / "compile.json"
        why = _mapping(path).get("not_proven")
        return [f"TensorRT was not asked: {why}"] * (why is not None) + [
            f"{row['graph']} for SM {row['sm']}: {row['why']}"
            for row in _rows(path, "rows")
            if not row["ok"]
        ]


def _mapping(path: Path) -> dict[str, dict[str, object]]:
    loaded: dict[str, dict[str, object]] = json.loads(path.read_bytes())
    return loaded


def _rows(path: Path, key: str) -> list[dict[str, object]]:
    content = read_json(path)
    rows: list[dict[str, object]] = content[key]  # type: ignore[index]
    return rows


def _pairs(
    fpr: npt.NDArray[np.float64], tpr: npt.NDArray[np.float64]
) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in zip(fpr, tpr, strict=True))


def _first(rows: list[dict[str, str]], most: int) -> list[str]:
    return list(dict.fromkeys(row["id"] for row in rows))[:most]
