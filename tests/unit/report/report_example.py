"""A report as a build would fill it: a pass, a fail and an inconclusive candidate."""

import base64
import io
import zlib
from datetime import datetime, timezone

import numpy as np
from PIL import Image, ImageDraw

from allnet_edge.measure.bench_report import BenchReport, BenchRow, EndToEnd, NotMeasured
from allnet_edge.measure.gate_report import Check, FlipCounts
from allnet_edge.measure.percentiles import LatencySummary
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
from allnet_edge.report.pruning_document import Agreement, Narrowed, Pruning, Smaller
from allnet_edge.report.quantization_document import (
    FormatQuantization,
    GroupCost,
    MixtureTried,
    Quantization,
    RangeStability,
    RangeTrial,
)
from allnet_edge.report.sentence import verdict_sentence

N = 642
POSITIVES = 430
TRUTH = np.arange(N) < POSITIVES
TARGET = TargetFacts(name="jetson-orin-nano-super", title="Jetson Orin Nano 8 GB", kind="jetson")

PLAIN = str.maketrans({"\N{NO-BREAK SPACE}": " ", "\N{MINUS SIGN}": "-", "\N{EN DASH}": "-"})


def plain(text):
    """Typographic spaces, minus signs and dashes as a keyboard has them."""
    return text.translate(PLAIN)


NOISE = {  # id: (spread, shift) of the logits against the float network
    "keras-fp32": (0, 0),
    "onnx-fp32": (0, 0),
    "onnx-fp16": (0.004, 0),
    "onnx-int8": (0.12, 0.02),
    "tflite-int8": (0.5, -0.55),
    "onnx-int8-2to4": (0.35, 0.14),
}


def thumbnail(seed):
    picture = Image.new("RGB", (96, 96))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((12, 12, 84, 84), fill=(150, 110, 170))
    left, top = np.random.default_rng(seed).integers(18, 34, 2).tolist()
    draw.ellipse((left, top, left + 46, top + 46), fill=(80, 40, 120))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def logits(name):
    reference = np.where(TRUTH, 2.4, -2.0) + np.random.default_rng(7).normal(0, 1.3, N)
    spread, shift = NOISE[name]
    own = np.random.default_rng(zlib.crc32(name.encode())).normal(0, spread, N)
    return reference + shift + own


def near(value, half):
    return Estimate(value=value, lower=max(0, value - half), upper=min(1, value + half))


def curve(score):
    hits = TRUTH[np.argsort(-score)]
    tpr = np.concatenate([[0], np.cumsum(hits) / hits.sum()])
    fpr = np.concatenate([[0], np.cumsum(~hits) / (~hits).sum()])
    area = float(np.sum((fpr[1:] - fpr[:-1]) * (tpr[1:] + tpr[:-1]) / 2))
    return tuple(zip(fpr.tolist(), tpr.tolist(), strict=True)), area


def rung(name, kind, engine, verdict, **more):
    edge = logits(name)
    said, said_float = edge > 0, logits("keras-fp32") > 0
    tp, fp = int((said & TRUTH).sum()), int((said & ~TRUTH).sum())
    fn, tn = POSITIVES - tp, N - POSITIVES - fp
    roc, area = curve(edge)
    flips = FlipCounts(
        positive_to_negative=int((said_float & ~said).sum()),
        negative_to_positive=int((~said_float & said).sum()),
    )
    return Rung(
        id=name,
        rung=kind,
        engine=engine,
        precision=name.split("-")[1],
        n=N,
        accuracy=near((tp + tn) / N, 0.014),
        sensitivity=near(tp / POSITIVES, 0.014),
        specificity=near(tn / (N - POSITIVES), 0.025),
        auc=near(area, 0.008),
        confusion=Confusion(tp=tp, fn=fn, tn=tn, fp=fp),
        roc=roc,
        threshold=0.5,
        verdict=verdict,
        flips=None if verdict is None else flips,
        **more,
    )


def compared(candidate, reference, spreads, sensitivity="pass", specificity="pass"):
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
        check("sensitivity", POSITIVES, spreads[0], 0.02, sensitivity),
        check("specificity", N - POSITIVES, spreads[1], 0.02, specificity),
        check("auc", N, 0.004, 0.01, "pass"),
    )
    return candidate.model_copy(update={"checks": checks})


def ladder():
    keras = rung("keras-fp32", "keras", "tf-keras", None)
    onnx = rung("onnx-fp32", "onnx", "ONNX Runtime", "pass", max_abs_difference=2.1e-6)
    fp16 = rung("onnx-fp16", "fp16", "ONNX Runtime", "pass", max_abs_difference=8.7e-4)
    int8 = rung(
        "onnx-int8",
        "int8",
        "ONNX Runtime",
        "pass",
        max_abs_difference=0.061,
        chosen=True,
        why="smallest and fastest of those that pass",
    )
    tflite = rung("tflite-int8", "int8", "LiteRT", "fail", max_abs_difference=0.31)
    pruned = rung("onnx-int8-2to4", "pruned", "ONNX Runtime", "inconclusive")
    return (
        keras,
        compared(onnx, keras, (0.002, 0.002)),
        compared(fp16, keras, (0.003, 0.004)),
        compared(int8, keras, (0.007, 0.009)),
        compared(tflite, keras, (0.012, 0.014), sensitivity="fail"),
        compared(pruned, keras, (0.011, 0.02), specificity="inconclusive"),
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


def pruning():
    """Channels, then 2:4."""
    rows = (("before fine-tuning", 0.978, 0.963, 0.036), ("zeros, epoch 1", 0.995, 0.97, 0.0222))
    return Pruning(
        kind="channels",
        zeros=0.495,
        kernels_2_4=(20, 21),
        smaller=Smaller(
            macs=(12_000_000, 5_880_000),
            parameters=(1_500_000, 750_000),
            layers=(Narrowed(layer="block1_conv1", before=64, after=56),),
            left={"stem": "read by a sum with the input"},
        ),
        agreements=tuple(
            Agreement(when=when, agreement=same, accuracy=right, mean_difference=far)
            for when, same, right, far in rows
        ),
    )


def quantization():
    """ONNX has a mixed form, TFLite needed none."""

    def trial(estimator, snr, flips, why, corrected=False):
        return RangeTrial(
            estimator=estimator,
            bias_correction=corrected,
            cells=256,
            logit_snr_db=snr,
            flips=flips,
            max_abs_difference=0.08,
            why=why,
        )

    stable = RangeStability(
        median=0.021, worst=0.31, worst_tensor="allnet/fusion1/Relu:0", stable=True
    )
    unstable = RangeStability(median=0.2, worst=0.7, worst_tensor=None, stable=False)
    costs = tuple(
        GroupCost(group=name, layers=9, macs=12_500_000, logit_snr_db=snr, auc_drop=0.0012, flips=2)
        for name, snr in (("vgg", 41.25), ("inception", 17.5), ("head", None))
    )
    return Quantization(
        images=512,
        selection=256,
        formats=(
            FormatQuantization(
                format="onnx", estimator="entropy", bias_correction=True, stability=stable,
                checked=("no violation of the Q/DQ rules (9 quantized activations)",),
                trials=(trial("entropy", 24.5, 3, "chosen", corrected=True),
                        trial("min-max", 19.5, 7, "5.0 dB less than entropy"),
                        RangeTrial(estimator="mse", bias_correction=False, cells=None,
                                   logit_snr_db=None, flips=None, max_abs_difference=None,
                                   why="the same ranges as entropy")),
                parts=costs, blocks=costs,
                mixed="int8 alone is not acceptable: specificity -3.1 points",
                tried=(MixtureTried(kept=(), macs_share=0, flips=7, why="specificity -3.1 points"),
                       MixtureTried(kept=("mixed8",), macs_share=0.125, flips=1, why=None)),
            ),
            FormatQuantization(
                format="tflite", estimator="min-max", bias_correction=False, stability=unstable,
                trials=(trial("min-max", None, 0, "asked for"),),
                operators="10 of 12 operators compute in int8; in float: net/logits",
                constant=("net/dead_relu",),
                mixed="int8 alone is acceptable on the validation cells",
            ),
        ),
    )  # fmt: skip


def probability(logit):
    return float(1 / (1 + np.exp(-logit)))


def flips():
    before = logits("keras-fp32")
    return tuple(
        Flip(
            id=f"fold_1/{'all' if TRUTH[at] else 'hem'}/UID_{at % 40}_{at}_1.bmp",
            label="ALL" if TRUTH[at] else "HEM",
            float_score=probability(before[at]),
            edge_score=probability(after[at]),
            candidate=name,
            direction="positive_to_negative" if before[at] > 0 else "negative_to_positive",
            thumbnail=thumbnail(at) if at % 9 else None,
        )
        for name, after in ((name, logits(name)) for name in NOISE)
        for at in np.flatnonzero((before > 0) != (after > 0)).tolist()
    )


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
        "flips": flips(),
        "pruning": pruning(),
        "quantization": quantization(),
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


def bare():
    """Nothing but what must be there."""
    full = example()
    return ReportDocument(
        title="Bare",
        created=full.created,
        verdict=Summary(verdict="inconclusive", sentence="Nothing was measured."),
        target=full.target,
        data=full.data,
    )
