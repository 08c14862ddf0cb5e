"""A report as a build would fill it: a pass, a fail and an inconclusive candidate."""

import base64
import io
import zlib
from datetime import datetime, timezone

import numpy as np
import pytest
from allnet_edge.measure.bench_report import BenchReport, BenchRow, EndToEnd, NotMeasured
from allnet_edge.measure.gate_report import Check, FlipCounts
from allnet_edge.measure.latency import LatencySummary
from allnet_edge.measure.system import Machine
from allnet_edge.report.document import (
    CompileProof,
    Confusion,
    DataFacts,
    Epoch,
    Estimate,
    FileSize,
    Flip,
    GateFacts,
    ReportDocument,
    Rung,
    StageRecord,
    Summary,
    TargetFacts,
    Training,
)
from allnet_edge.report.sentence import verdict_sentence
from PIL import Image, ImageDraw

N = 642
TARGET = TargetFacts(name="jetson-orin-nano", title="Jetson Orin Nano 8 GB", kind="jetson")


def thumbnail(seed):
    noise = np.random.default_rng(seed)
    picture = Image.new("RGB", (96, 96))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((12, 12, 84, 84), fill=(150, 110, 170))
    left, top = noise.integers(18, 34, 2).tolist()
    draw.ellipse((left, top, left + 46, top + 46), fill=(80, 40, 120))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def scores():
    noise = np.random.default_rng(7)
    truth = np.arange(N) < 430
    logit = np.where(truth, 2.4, -2.0) + noise.normal(0, 1.3, N)
    return truth, logit


def near(value, half=0.014):
    return Estimate(value=value, lower=max(0, value - half), upper=min(1, value + half))


def curve(truth, score):
    order = np.argsort(-score)
    hits = truth[order]
    tpr = np.concatenate([[0], np.cumsum(hits) / hits.sum()])
    fpr = np.concatenate([[0], np.cumsum(~hits) / (~hits).sum()])
    area = float(np.sum((fpr[1:] - fpr[:-1]) * (tpr[1:] + tpr[:-1]) / 2))
    return tuple(zip(fpr.tolist(), tpr.tolist(), strict=True)), area


def rung(id_, kind, engine, precision, noise, shift, verdict, **more):
    truth, logit = scores()
    edge = logit + shift + np.random.default_rng(zlib.crc32(id_.encode())).normal(0, noise, N)
    said, said_float = edge > 0, logit > 0
    tp, fn = int((said & truth).sum()), int((~said & truth).sum())
    tn, fp = int((~said & ~truth).sum()), int((said & ~truth).sum())
    roc, area = curve(truth, edge)
    lost = FlipCounts(
        positive_to_negative=int((said_float & ~said).sum()),
        negative_to_positive=int((~said_float & said).sum()),
    )
    return Rung(
        id=id_,
        rung=kind,
        engine=engine,
        precision=precision,
        n=N,
        accuracy=near((tp + tn) / N),
        sensitivity=near(tp / (tp + fn)),
        specificity=near(tn / (tn + fp), 0.025),
        auc=near(area, 0.008),
        confusion=Confusion(tp=tp, fn=fn, tn=tn, fp=fp),
        roc=roc,
        threshold=0.512,
        verdict=verdict,
        flips=None if verdict is None else lost,
        **more,
    )


def compared(candidate, reference, half, verdicts):
    def check(metric, n, spread, margin, verdict):
        before, after = getattr(reference, metric).value, getattr(candidate, metric).value
        return Check(
            metric=metric,
            n=n,
            patients=10,
            float=before,
            edge=after,
            delta=after - before,
            lower=after - before - spread,
            upper=after - before + spread,
            margin=margin,
            verdict=verdict,
            needed=2900 if verdict == "inconclusive" else None,
        )

    enough = candidate.accuracy.value >= 0.99 * reference.accuracy.value
    checks = (
        check("accuracy", N, 0.006, 0.01 * reference.accuracy.value, "pass" if enough else "fail"),
        check("sensitivity", 430, half["sensitivity"], 0.02, verdicts["sensitivity"]),
        check("specificity", 212, half["specificity"], 0.02, verdicts["specificity"]),
        check("auc", N, 0.004, 0.01, "pass"),
    )
    return candidate.model_copy(update={"checks": checks})


def ladder():
    ok = {"sensitivity": "pass", "specificity": "pass"}
    keras = rung("keras-fp32", "keras", "tf-keras", "fp32", 0, 0, None)
    onnx = rung(
        "onnx-fp32", "onnx", "ONNX Runtime", "fp32", 0, 0, "pass", max_abs_difference=2.1e-6
    )
    fp16 = rung(
        "onnx-fp16", "fp16", "ONNX Runtime", "fp16", 0.004, 0, "pass", max_abs_difference=8.7e-4
    )
    int8 = rung(
        "onnx-int8",
        "int8",
        "ONNX Runtime",
        "int8",
        0.12,
        0.02,
        "pass",
        max_abs_difference=0.061,
        chosen=True,
        why="smallest and fastest of those that pass",
    )
    tflite = rung(
        "tflite-int8",
        "int8",
        "LiteRT",
        "int8",
        0.5,
        -0.55,
        "fail",
        max_abs_difference=0.31,
        why="loses sensitivity beyond the margin",
    )
    pruned = rung(
        "onnx-int8-2to4",
        "pruned",
        "ONNX Runtime",
        "int8",
        0.35,
        0.14,
        "inconclusive",
        max_abs_difference=0.19,
        why="too few cells to decide on specificity",
    )
    return (
        keras,
        compared(onnx, keras, {"sensitivity": 0.002, "specificity": 0.002}, ok),
        compared(fp16, keras, {"sensitivity": 0.003, "specificity": 0.004}, ok),
        compared(int8, keras, {"sensitivity": 0.007, "specificity": 0.009}, ok),
        compared(
            tflite,
            keras,
            {"sensitivity": 0.012, "specificity": 0.014},
            {"sensitivity": "fail", "specificity": "pass"},
        ),
        compared(
            pruned,
            keras,
            {"sensitivity": 0.011, "specificity": 0.02},
            {"sensitivity": "pass", "specificity": "inconclusive"},
        ),
    )


def machine():
    return Machine(
        device_class="host-proxy",
        model="x86_64",
        cpu="Example CPU",
        cores=4,
        usable_cores=2,
        memory_mb=16000,
        available_mb=12000,
        os="Debian GNU/Linux 12",
        kernel="6.1.0",
        l4t=None,
        governor="performance",
        load_1min=0.4,
        python="3.11.9",
        packages={"onnxruntime": "1.20.1", "ai-edge-litert": None},
    )


def latency(valid=True):
    def row(rung, p50, size, p99=True):
        return BenchRow(
            id=rung.id,
            engine=rung.engine,
            precision=rung.precision,
            threads=2,
            n=1024 if p99 else 400,
            latency_ms=LatencySummary(
                min=p50 * 0.95,
                mean=p50 * 1.02,
                p50=p50,
                p90=p50 * 1.06,
                p95=p50 * 1.1,
                p99=p50 * 1.21 if p99 else None,
                max=p50 * 1.6,
                cov=0.018,
            ),
            first_ms=p50 * 9,
            load_ms=180,
            end_to_end_ms=EndToEnd(p50=p50 + 2.4, p99=(p50 + 2.4) * 1.3) if p99 else None,
            peak_rss_mb=310,
            size_mb=size,
            verdict=rung.verdict,
        )

    rungs = ladder()
    return BenchReport(
        mode="quick",
        scenario="single-stream",
        device=machine(),
        valid=valid,
        why_invalid=() if valid else ("onnx-int8: standard deviation 7.1 % of the mean",),
        remarks=("onnx-int8: other programs used 12 % of the processors",),
        rows=(
            row(rungs[1], 14.2, 26.4),
            row(rungs[2], 15.8, 13.3),
            row(rungs[3], 6.31, 6.9),
            row(rungs[4], 9.42, 6.8, p99=False),
        ),
        not_measured=(
            NotMeasured(
                id=rungs[5].id,
                engine=rungs[5].engine,
                precision=rungs[5].precision,
                why="the runtime refused the graph",
            ),
        ),
    )


def flips(rungs, thumbs=True):
    truth, logit = scores()
    found = []
    for candidate in rungs[3:]:
        generator = np.random.default_rng(zlib.crc32(candidate.id.encode()))
        shift, noise = {"onnx-int8": (0.02, 0.12), "tflite-int8": (-0.55, 0.5)}.get(
            candidate.id, (0.14, 0.35)
        )
        edge = logit + shift + generator.normal(0, noise, N)
        for at in np.flatnonzero((logit > 0) != (edge > 0)).tolist():
            found.append(
                Flip(
                    id=f"fold_1/{'all' if truth[at] else 'hem'}/UID_{at % 40}_{at}_1.bmp",
                    label="ALL" if truth[at] else "HEM",
                    float_score=float(1 / (1 + np.exp(-logit[at]))),
                    edge_score=float(1 / (1 + np.exp(-edge[at]))),
                    candidate=candidate.id,
                    direction="positive_to_negative" if logit[at] > 0 else "negative_to_positive",
                    thumbnail=thumbnail(at) if thumbs and at % 9 else None,
                )
            )
    return tuple(found)


def history():
    steps = np.arange(1, 21)
    noise = np.random.default_rng(3).normal(0, 0.008, 20)
    return tuple(
        Epoch(
            epoch=int(at),
            loss=float(0.6 * np.exp(-at / 6) + 0.12),
            val_loss=float(0.6 * np.exp(-at / 5) + 0.2 + max(0, at - 13) * 0.006 + noise[at - 1]),
            accuracy=float(0.97 - 0.3 * np.exp(-at / 5)),
            val_accuracy=float(0.945 - 0.28 * np.exp(-at / 4) + noise[at - 1]),
        )
        for at in steps
    )


def example(**changes):
    rungs = ladder()
    speed = latency()
    facts = {
        "title": "ALLNet on C-NMC cells, int8",
        "created": datetime(2025, 3, 4, 15, 20, tzinfo=timezone.utc),
        "verdict": Summary(
            verdict="pass",
            sentence=verdict_sentence("pass", rungs, speed, TARGET),
            chosen="onnx-int8",
            why="onnx-int8 is the smallest and fastest network that passes the gate.",
        ),
        "target": TARGET,
        "data": DataFacts(
            layout="cnmc",
            protocol="patient",
            leaking=False,
            why="no patient and no file lies in two parts",
            n={"train": 6400, "validation": 2130, "calibration": 500, "test": N},
            patients={"train": 44, "validation": 14, "calibration": 5, "test": 10},
            index_sha256="9f2c" * 16,
            classes=("HEM", "ALL"),
            positive=("ALL",),
        ),
        "gate": GateFacts(
            n=N,
            positives=430,
            patients=10,
            method="patient-cluster bootstrap, 2,000 resamples, seed 0",
            interval_method="two-sided 95 %, Wilson",
        ),
        "ladder": rungs,
        "latency": speed,
        "sizes": (
            FileSize(file="model.fp32.onnx", raw_bytes=26_412_334, zipped_bytes=24_410_001),
            FileSize(file="model.int8.onnx", raw_bytes=6_912_334, zipped_bytes=5_010_001),
            FileSize(file="model.fp32.tflite", raw_bytes=26_402_100, zipped_bytes=24_400_000),
            FileSize(file="model.int8.tflite", raw_bytes=6_802_100),
        ),
        "compile_proofs": (
            CompileProof(graph="model.int8.onnx", sm=86, ok=True, seconds=41.2,
                         engine_bytes=9_120_000, tool="TensorRT-RTX 1.2"),
            CompileProof(graph="model.int8.onnx", sm=89, ok=False, tool="TensorRT-RTX 1.2"),
        ),
        "flips": flips(rungs),
        "lineage": (
            StageRecord(stage="reference", key="a1" * 32, seconds=12.4, files=2),
            StageRecord(stage="export", key="b2" * 32, parents=("reference",), seconds=94, files=2),
            StageRecord(stage="quantize", key="c3" * 32, parents=("export",), seconds=3720,
                        files=2, skipped=True),
        ),
        "versions": {"allnet-edge": "0.1.0", "tensorflow": "2.19.0", "onnxruntime": "1.20.1"},
        "machine": machine(),
        "recipe": {"target": "jetson", "stages": ["export", "quantize"], "gate": {"auc": 0.01}},
        "training": Training(history=history()),
        "warnings": ("A classifier trained on C-NMC cells was not validated on other smears.",),
    }  # fmt: skip
    return ReportDocument(**{**facts, **changes})


@pytest.fixture(scope="session")
def document():
    return example()


@pytest.fixture(scope="session")
def build_example():
    return example


@pytest.fixture(scope="session")
def build_latency():
    return latency
