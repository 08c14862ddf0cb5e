"""A live session under load for a long time: is any frame lost silently, does memory grow?

    python benchmarks/soak.py BUNDLE FIELDS [--seconds 600] [--rate 10] [--warm-up 90]

The fields of a folder come round and round at ``--rate`` a second, as from a live camera; without
``--rate`` as fast as they are taken on. Every field goes through the whole session, store
included: found, cut out, checked, decided, on disk. Goals: every frame accounted for, less than
10 MB of growth after the warm-up. Written to benchmarks/results/soak.json.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.device.cameras.opening import open_camera
from allnet_edge.device.fields.assess import FieldAssessor
from allnet_edge.device.live.session import Live
from allnet_edge.device.live.settings import LiveSettings
from allnet_edge.device.session import Session
from allnet_edge.device.store.store import Store
from allnet_edge.measure.system import describe

RESULT = Path(__file__).parent / "results" / "soak.json"
EVERY_S = 5.0
GROWTH_MB = 10.0


def rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def growth_mb(samples: list[tuple[float, float]]) -> dict[str, float]:
    """Of the memory after the warm-up: the slope over the time, and last against first tenth."""
    times, memory = zip(*samples, strict=True)
    tenth = max(1, len(memory) // 10)
    first, last = statistics.median(memory[:tenth]), statistics.median(memory[-tenth:])
    slope = statistics.linear_regression(times, memory).slope if len(memory) > 1 else 0.0
    return {
        "first_mb": round(first, 2),
        "last_mb": round(last, 2),
        "growth_mb": round(last - first, 2),
        "slope_mb_per_minute": round(60 * slope, 3),
        "most_mb": round(max(memory), 2),
    }


def soak(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    bundle = Bundle.open(arguments.bundle)
    camera = open_camera(str(arguments.fields), rate_hz=arguments.rate, repeat=True)
    # As fast as it holds: the source waits, so that the rate is the worker's.
    settings = LiveSettings(capture="every", drop="latest" if arguments.rate else "wait")
    latencies: list[float] = []
    samples: list[tuple[float, float]] = []
    fields = cells = 0
    with (
        Store.open(folder) as store,
        Session(bundle, threads=arguments.threads) as session,
        Live(FieldAssessor(session), camera, store=store, settings=settings) as live,
        live.subscribe(4096) as events,
    ):
        slide = live.start_slide("soak")
        began, told = time.monotonic(), 0.0
        while (now := time.monotonic() - began) < arguments.seconds and live.error is None:
            event = events.get(0.5)
            if event is not None and event.result is not None and now >= arguments.warm_up:
                latencies.append(event.latency_ns / 1e6)
                fields, cells = fields + 1, cells + len(event.result.cells)
            if now - told >= EVERY_S:
                told = now
                if now >= arguments.warm_up:
                    samples.append((now, rss_mb()))
                print(f"{now:6.0f} s  {rss_mb():7.1f} MB  {live.status().counters}", flush=True)
        measured = time.monotonic() - began - arguments.warm_up
        missed_events = events.dropped
        if live.error is not None:
            raise live.error
        live.end_slide()
        status, stored = live.status(), store.slide(slide)
    counters = status.counters
    ordered = sorted(latencies)
    memory = growth_mb(samples)
    return {
        "seconds": arguments.seconds,
        "warm_up_s": arguments.warm_up,
        "rate_hz": arguments.rate,
        "fields_per_s": round(fields / measured, 2),
        "cells_per_s": round(cells / measured, 2),
        "counters": {name: getattr(counters, name) for name in counters.__dataclass_fields__},
        "accounted": counters.read == counters.accounted,
        "every_assessed_field_is_stored": stored.fields == counters.assessed,
        "stored": {"fields": stored.fields, "cells": stored.cells},
        "latency_ms": {
            "p50": round(percentile(ordered, 0.5), 2),
            "p99": round(percentile(ordered, 0.99), 2),
            "max": round(ordered[-1], 2),
            "n": len(ordered),
        },
        "events_dropped": missed_events,
        "memory": memory,
        "memory_samples_mb": [round(value, 1) for _, value in samples],
        "passed": counters.read == counters.accounted
        and stored.fields == counters.assessed
        and memory["growth_mb"] < GROWTH_MB,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("fields", type=Path)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--warm-up", type=float, default=90.0)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if not 0 <= arguments.warm_up < arguments.seconds - 2 * EVERY_S:
        parser.error("the warm-up must leave at least ten seconds to measure")
    with tempfile.TemporaryDirectory() as folder:
        found = soak(arguments, Path(folder) / "store")
    bundle = Bundle.open(arguments.bundle)
    found = {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": describe().model_dump(mode="json"),
        "bundle": {"model": bundle.manifest.model, "target": bundle.manifest.target},
        **found,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({key: found[key] for key in ("fields_per_s", "latency_ms", "memory")}))
    print("passed" if found["passed"] else "FAILED", "->", arguments.out)
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
