"""What our runner and our benchmark's loop add to a bare LiteRT loop, and our way from file to
decision to the bare one.

    python benchmarks/runner_overhead.py MODEL.tflite... [--image CELL.bmp] [--seconds 60]

Three loops take turns in short blocks, so that what disturbs the machine disturbs all alike:

- bare: set_tensor, invoke, get_tensor, with an input that is ready in the tensor's own type;
- runner: ``Runner.infer`` on uint8 pixels, as ``infer`` and ``run`` call it;
- bench: the loop of ``measure_single_stream`` around the same runner, bookkeeping included.

From file to decision, two ways take turns: Pillow's open, convert, resize and the bare loop; and
ours, with its checks of size, depth, frames and orientation.

Goals: at most 2 % for a network of 70 ms, at most 30 microseconds for one of 0.5 ms, and from file
to decision at most 1.5 times the bare way. Written to benchmarks/results/runner_overhead.json.
"""

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from allnet_edge.engines.opening import open_file
from allnet_edge.measure.latency import Plan, measure_single_stream
from allnet_edge.measure.queries import Decoded, FromFile, Workload
from allnet_edge.measure.system import describe
from allnet_edge.spec.network import Preprocess

RESULT = Path(__file__).parent / "results" / "runner_overhead.json"
BLOCK_SECONDS = 0.05
RESAMPLES = 2000

Block = Callable[[int], float]
"""Runs so many queries and returns the microseconds of one."""


def encode(pixels: np.ndarray, tensor: dict) -> np.ndarray:
    if tensor["dtype"] == np.int8:
        return (pixels ^ np.uint8(0x80)).view(np.int8)
    return pixels.astype(tensor["dtype"])


def bare_block(interpreter: Interpreter, pixels: np.ndarray) -> Block:
    """On the interpreter of our runner: a second one has its weights elsewhere in memory, which
    changes its times by more than what is measured here.
    """
    first, last = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    ready = [encode(one[None], first) for one in pixels]
    index, out = first["index"], last["index"]

    def block(queries: int) -> float:
        began = time.perf_counter_ns()
        for at in range(queries):
            interpreter.set_tensor(index, ready[at % len(ready)])
            interpreter.invoke()
            interpreter.get_tensor(out)
        return (time.perf_counter_ns() - began) / 1e3 / queries

    return block


def runner_block(query: Decoded) -> Block:
    def block(queries: int) -> float:
        began = time.perf_counter_ns()
        for _ in range(queries):
            query()
        return (time.perf_counter_ns() - began) / 1e3 / queries

    return block


def bench_block(query: Decoded) -> Block:
    def block(queries: int) -> float:
        plan = Plan(0, 0, 0, 1, queries, 0, 3600, cov_limit=10, strict=False)
        run = measure_single_stream(query, plan=plan)
        whole = run.at_ms[-1] + run.samples_ms[-1] - run.at_ms[0]
        return 1e3 * float(whole) / run.n

    return block


def by_turns(blocks: dict[str, Block], seconds: float, queries: int) -> dict[str, list[float]]:
    """Every loop once a round; the order turns, so that none is always the first."""
    found: dict[str, list[float]] = {name: [] for name in blocks}
    names, end = list(blocks), time.monotonic() + seconds
    gc.disable()
    while time.monotonic() < end or len(found[names[0]]) < 5:
        for name in names:
            found[name].append(blocks[name](queries))
        names = names[1:] + names[:1]
    gc.enable()
    return found


def compared(found: dict[str, list[float]], against: str) -> dict[str, object]:
    """Medians, and what each adds round by round, with a 95 % bootstrap interval over rounds."""
    base = np.array(found[against])
    rng = np.random.default_rng(0)
    result: dict[str, object] = {"rounds": base.size, f"{against}_us": float(np.median(base))}
    draws = rng.integers(0, base.size, (RESAMPLES, base.size))
    for name, values in found.items():
        if name == against:
            continue
        added = np.array(values) - base
        spread = np.quantile(np.median(added[draws], axis=1), (0.025, 0.975))
        result[name] = {
            "us": float(np.median(values)),
            "added_us": float(np.median(added)),
            "added_us_interval": [float(spread[0]), float(spread[1])],
            "added_share": float(np.median(added) / np.median(base)),
            "ratio": float(np.median(np.array(values) / base)),
            # Of the quietest tenth of the blocks, which other programs disturbed least.
            "added_us_when_quiet": float(np.quantile(values, 0.1) - np.quantile(base, 0.1)),
        }
    return result


def overhead(path: Path, threads: int, seconds: float) -> dict[str, object]:
    with open_file(path, threads) as runner:
        side = runner.input_shape[0]
        shape = (8, side, side, 3)
        pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        query = Decoded(runner, pixels)
        blocks = {
            "bare": bare_block(runner._interpreter, pixels),
            "runner": runner_block(query),
            "bench": bench_block(query),
        }
        for block in blocks.values():
            block(3)
        queries = max(1, round(BLOCK_SECONDS * 1e6 / blocks["bare"](5)))
        return {
            "model": path.name,
            "bytes": path.stat().st_size,
            "input": side,
            "queries_a_block": queries,
            **compared(by_turns(blocks, seconds, queries), "bare"),
        }


def bare_way(interpreter: Interpreter, image: Path, size: int) -> Block:
    first, last = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    index, out = first["index"], last["index"]

    def block(queries: int) -> float:
        began = time.perf_counter_ns()
        for _ in range(queries):
            cell = Image.open(image).convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
            interpreter.set_tensor(index, encode(np.asarray(cell)[None], first))
            interpreter.invoke()
            interpreter.get_tensor(out)
        return (time.perf_counter_ns() - began) / 1e3 / queries

    return block


def end_to_end(path: Path, threads: int, image: Path, seconds: float) -> dict[str, object]:
    with open_file(path, threads) as runner:
        size = runner.input_shape[0]
        work = Workload(np.zeros((0, size, size, 3), np.uint8), [image], Preprocess(size=size))
        query = FromFile(runner, work, lambda outputs: outputs >= 0.5)
        blocks = {"bare": bare_way(runner._interpreter, image, size), "ours": runner_block(query)}
        for block in blocks.values():
            block(3)
        queries = max(1, round(BLOCK_SECONDS * 1e6 / blocks["bare"](3)))
        with Image.open(image) as opened:
            what = f"{opened.format} {opened.width}x{opened.height}"
        found = by_turns(blocks, seconds, queries)
        return {"model": path.name, "image": what, "input": size, **compared(found, "bare")}


def some_cell(folder: str) -> Path:
    """A drawn 450 x 450 bitmap, where no real one is given."""
    path = Path(folder) / "cell.bmp"
    pixels = np.random.default_rng(2).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((450, 450), Image.Resampling.BICUBIC).save(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--image", type=Path, help="a real cell; a drawn one of 450x450 if absent")
    parser.add_argument("--seconds", type=float, default=60, help="for each comparison")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, default=RESULT)
    given = parser.parse_args()
    started = datetime.now(timezone.utc).replace(microsecond=0).isoformat()
    with tempfile.TemporaryDirectory() as folder:
        image = given.image or some_cell(folder)
        loops = [overhead(path, given.threads, given.seconds) for path in given.models]
        ways = [end_to_end(path, given.threads, image, given.seconds) for path in given.models]
    result = {
        "started": started,
        "threads": given.threads,
        "seconds": given.seconds,
        "machine": describe(("ai-edge-litert", "numpy", "pillow")).model_dump(mode="json"),
        "loops": loops,
        "file_to_decision": ways,
    }
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for loop in loops:
        for name in ("runner", "bench"):
            added = loop[name]
            print(
                f"{loop['model']}: bare {loop['bare_us']:.0f} us, {name} adds "
                f"{added['added_us']:.1f} us ({100 * added['added_share']:.2f} %), "
                f"{added['added_us_when_quiet']:.1f} us in the quietest tenth of the blocks"
            )
    for way in ways:
        print(
            f"{way['model']}: {way['image']} to decision, bare {way['bare_us']:.0f} us, "
            f"ours {way['ours']['us']:.0f} us: {way['ours']['ratio']:.2f} times"
        )


if __name__ == "__main__":
    main()
