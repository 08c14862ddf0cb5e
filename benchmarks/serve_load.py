"""How soon `serve` answers, and what 100 readers do to the live view.

Starts the server with a bundle and a folder of fields as a camera that never ends, follows its live
events while nobody else asks, and again while `wrk -t2 -c100` (or, where that is not installed, a
hundred threads of this script) asks the read routes. The live view's rate is that of stored fields,
as a page sees them come.

    python benchmarks/serve_load.py BUNDLE FIELDS [--rate 10] [--seconds 15]
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from itertools import pairwise
from pathlib import Path

RESULT = Path(__file__).parent / "results" / "serve_load.json"
CONNECTIONS, STARTS = 100, 5
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("fields", type=Path)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("-o", "--out", type=Path, default=RESULT)
    given = parser.parse_args()
    result = {
        "what": "start and load of `allnet-edge serve`",
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "bundle": json.loads((given.bundle / "manifest.json").read_text())["name"],
        "camera_hz": given.rate,
        "seconds": given.seconds,
        "start": [started(given.bundle) for _ in range(STARTS)],
        **loaded(given.bundle, given.fields, given.rate, given.seconds),
    }
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def machine() -> dict[str, object]:
    return {"cores": os.cpu_count(), "load_average_before": [round(x, 1) for x in os.getloadavg()]}


class Running:
    """The server as a process of its own."""

    def __init__(self, bundle: Path, *options: object) -> None:
        self._folder = tempfile.mkdtemp(prefix="serve-load-")
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "allnet_edge", "serve", str(bundle), "--port", "0", "--json",
                "--store", f"{self._folder}/store", *map(str, options),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        told = self.process.stdout.readline() if self.process.stdout else "{}"
        self.url = json.loads(told)["address"].rstrip("/")

    def get(self, path: str) -> object:
        """What a read route says."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:  # noqa: S310 - our own
            return json.load(answer)

    def post(self, path: str) -> object:
        """Start or end something."""
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, b"{}", kind)  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def wait(self) -> tuple[float, float, float]:
        """Seconds until it answered, until it was ready, and of processor time until then."""
        answered = 0.0
        while True:
            status = self.get("/api/v1/status")
            answered = answered or time.perf_counter() - self.began
            if status["state"] == "ready":
                return answered, time.perf_counter() - self.began, self.processor_s()
            time.sleep(0.01)

    def processor_s(self) -> float:
        """Processor time that it has used."""
        parts = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / CLOCK_TICKS

    def end(self) -> None:
        """Stop it and remove what it stored."""
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self._folder)


def started(bundle: Path) -> dict[str, float]:
    running = Running(bundle)
    answered, ready, processor = running.wait()
    running.end()
    return {
        "answers_s": round(answered, 2),
        "ready_s": round(ready, 2),
        "processor_s": round(processor, 2),
    }


def loaded(bundle: Path, fields: Path, rate: float, seconds: float) -> dict[str, object]:
    running = Running(bundle, "--source", fields, "--rate", rate, "--repeat")
    running.wait()
    slide = running.post("/api/v1/slides")["id"]
    try:
        followed(running, 5.0)  # warm-up
        routes = {
            "status": "/api/v1/status",
            "slide": f"/api/v1/slides/{slide}",
            "cells": f"/api/v1/slides/{slide}/cells?limit=20",
            "summary": f"/api/v1/slides/{slide}/summary",
            "frame": "/api/v1/live/frame.jpg",
            "bundle": "/api/v1/bundle",
        }
        alone = followed(running, seconds)
        under = {}
        for name, path in routes.items():
            asked: dict[str, object] = {}
            asking = threading.Thread(target=ask, args=(running.url + path, seconds, asked))
            asking.start()
            time.sleep(1.0)
            live = followed(running, seconds - 2.0)
            asking.join()
            under[name] = {**asked, "live": live, "live_share": share(live, alone)}
        counters = running.get("/api/v1/status")["live"]["counters"]
    finally:
        running.end()
    shares = [one["live_share"] for one in under.values()]
    return {
        "client": "wrk -t2" if shutil.which("wrk") else "threads of Python",
        "connections": CONNECTIONS,
        "live_alone": alone,
        "routes": under,
        "worst_live_share": min(shares),
        "errors": sum(int(one["errors"]) for one in under.values()),
        "frames": counters,
    }


def share(live: dict[str, float], alone: dict[str, float]) -> float:
    return round(live["fields_a_second"] / alone["fields_a_second"], 3)


def followed(running: Running, seconds: float) -> dict[str, float]:
    """How often a field comes to somebody who reads the events."""
    times: list[float] = []
    url = f"{running.url}/api/v1/live/events"
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own
        until = time.perf_counter() + seconds
        for line in answer:
            if line == b"event: field\n":
                times.append(time.perf_counter())
            if time.perf_counter() > until:
                break
    times = times[1:]  # the newest one is told at once
    gaps = [after - before for before, after in pairwise(times)]
    return {
        "fields_a_second": round(len(times) / seconds, 2),
        "longest_gap_ms": round(1000 * max(gaps), 1),
        "median_gap_ms": round(1000 * statistics.median(gaps), 1),
    }


def ask(url: str, seconds: float, found: dict[str, object]) -> None:
    if not shutil.which("wrk"):
        ask_by_threads(url, seconds, found)
        return
    done = subprocess.run(
        ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{int(seconds)}s", "--timeout", "30s", "--latency",
         url],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    wrong = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", done.stdout
    )
    status = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    found |= {
        "requests_a_second": float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]),
        "latency_p99": re.search(r"^\s+99%\s+(\S+)$", done.stdout, re.MULTILINE)[1],
        "errors": (sum(map(int, wrong.groups())) if wrong else 0)
        + (int(status[1]) if status else 0),
    }


def ask_by_threads(url: str, seconds: float, found: dict[str, object]) -> None:
    until = time.perf_counter() + seconds
    counts = {"asked": 0, "errors": 0}

    def one() -> None:
        while time.perf_counter() < until:
            try:
                with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own
                    answer.read()
                counts["asked"] += 1
            except OSError:  # noqa: PERF203 - each is counted
                counts["errors"] += 1

    threads = [threading.Thread(target=one) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found |= {"requests_a_second": round(counts["asked"] / seconds, 1), "errors": counts["errors"]}


if __name__ == "__main__":
    main()
