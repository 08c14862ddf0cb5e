# ruff: noqa: T201 - a script tells what it does
"""The device side on emulated aarch64: installed by pip, verified, compared with x86, counted.

    python tests/arm/run.py [--update] [--keep FOLDER]

Ends with 0 where everything holds, 1 where something differs, 3 where this machine cannot run it.
See docs/arm.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import counts
import debian
import emulator
import fields
import judge
import remote
from emulator import Board
from findings import Failures, Subject

from allnet_edge.artifacts.files import canonical_json, sha256_file
from allnet_edge.errors import AllnetEdgeError, OutputDirError

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
COMMITTED = REPOSITORY / "benchmarks" / "results" / "arm_instructions.json"
REAL = (("cnmc", "*.bmp", 3), ("aria2021", "*.jpg", 3), ("bccd", "*.jpg", 3), ("pbc", "*.jpg", 2))


def main() -> int:
    arguments = argparse.ArgumentParser(description="The device side on emulated aarch64.")
    arguments.add_argument("--update", action="store_true", help="write the counts as they are")
    arguments.add_argument("--keep", type=Path, help="leave everything in this folder, for a look")
    options = arguments.parse_args()
    began = time.monotonic()
    failures = Failures()
    try:
        with _folder(options.keep) as folder:
            _run(folder, failures, update=options.update)
    except AllnetEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{time.monotonic() - began:.0f} s in all")
    if failures:
        print(f"{len(failures)} checks failed (FAILED above)", file=sys.stderr)
    return 1 if failures else 0


def _run(folder: Path, failures: Failures, *, update: bool) -> None:
    with _step("Debian packages"):
        debian.install()
        plugin = emulator.counter(folder)
    with _step("root folder of an arm64 system"):
        root = debian.root()
    site = folder / "site"
    boards = [emulator.board(one, root, folder / "boards", site) for one in emulator.PROFILES]
    with ThreadPoolExecutor(2) as pool:
        with _step("wheel with its dependencies under emulation; bundles on x86"):
            installed = pool.submit(_install, boards[0], folder, site)
            subjects = _bundles(folder)
            installed.result()
        images = [*sorted((folder / "phantoms").iterdir()), *_real_images()]
        with _step(f"answers on {len(images)} image files, here and there"):
            _answers(pool, subjects, boards, images, folder=folder, failures=failures)
        with _step("builtin kernels in place of XNNPACK have to be noticed"):
            _prove_that_it_sees(subjects[0], boards[0], folder, failures)
        with _step("verify and infer as a person runs them"):
            _commands(pool, subjects, boards[0], images, failures)
        with _step("white cells in fields of view, here and there"):
            real = [path for path in images if path.parent.name == "JPEGImages"]
            fields.check(
                subjects[0], boards[0], real, folder / "fields", here=_here, failures=failures
            )
        with _step("a device over the network: push, verify there, pull"):
            remote.check(subjects[1], boards[0], folder / "remote", failures)
        with _step("instructions of one inference"):
            found = _count(pool, subjects, boards, plugin, folder)
    versions = _versions(subjects, boards[0])
    _judge_counts(found, versions, failures, update=update)


def _install(board: Board, folder: Path, site: Path) -> None:
    """Our wheel and, with its extras, what the device's lock has: hashes required for all of it."""
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, REPOSITORY],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if built.returncode:
        raise AllnetEdgeError(f"the wheel cannot be built: {built.stdout}{built.stderr}")
    [wheel] = folder.glob("*.whl")
    wanted = folder / "requirements.txt"
    wanted.write_text(
        f"-r {REPOSITORY / 'requirements' / 'device.txt'}\n"
        f"allnet-edge[litert,onnx,serve] @ {wheel.as_uri()} --hash=sha256:{sha256_file(wheel)}\n"
    )
    board.python(
        "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--require-hashes",
        "--no-compile", "--target", site, "-r", wanted,
        environment=emulator.host_environment(),
    )  # fmt: skip


def _bundles(folder: Path) -> list[Subject]:
    environment = emulator.host_environment() | {
        "ALLNET_EDGE_KEY": str(folder / "signing.key"),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    _here(HERE / "bundles.py", folder, environment=environment)
    return [Subject(**one) for one in json.loads((folder / "bundles.json").read_text())]


def _real_images() -> list[Path]:
    """A few of each set; none, with the reason, where they are absent."""
    sys.path.insert(0, str(REPOSITORY / "tests"))
    from conftest import SHARED

    if not SHARED.is_dir():
        print("  skipped: real images are absent (shared/data beside the checkout)")
        return []
    return [path for name, glob, n in REAL for path in sorted((SHARED / name).rglob(glob))[:n]]


def _answers(
    pool: ThreadPoolExecutor,
    subjects: list[Subject],
    boards: list[Board],
    images: list[Path],
    *,
    folder: Path,
    failures: Failures,
) -> None:
    def ask(subject: Subject, board: Board | None) -> judge.Answers:
        return _ask(subject, board, images, folder)

    tasks = [(subject, board, pool.submit(ask, subject, board))
             for subject in subjects for board in (None, *boards)]  # fmt: skip
    here = {subject.name: task.result() for subject, board, task in tasks if board is None}
    for subject, board, task in tasks:
        if board is not None:
            there = task.result()
            where = f"{subject.name} on {board.profile.cpu}"
            print(f"  {where}: {json.dumps(judge.summary(here[subject.name], there))}")
            failures.add(judge.differences(here[subject.name], there), where)


def _prove_that_it_sees(subject: Subject, board: Board, folder: Path, failures: Failures) -> None:
    """The same comparison, with other kernels on the device: it must not find them alike."""
    here = _ask(subject, None, [], folder)
    changed = _ask(subject, board, [], folder, "--builtin")
    found = judge.differences(here, changed)
    for one in found:
        print(f"  noticed: {one}")
    failures.check(
        any("int8 values differ" in one for one in found), "other kernels: not in values"
    )
    failures.check(any("XNNPACK" in one for one in found), "other kernels: XNNPACK is not asserted")


def _ask(
    subject: Subject, board: Board | None, images: list[Path], folder: Path, *flags: str
) -> judge.Answers:
    side = "x86" if board is None else board.profile.cpu
    target = folder / f"{subject.name}-{side}{''.join(flags)}.npz"
    script = [HERE / "on_device.py", subject.bundle, subject.probe, target, *flags, *images]
    printed = board.python(*script).stdout if board else _here(*script)
    return judge.Answers.read(target, printed)


def _commands(
    pool: ThreadPoolExecutor,
    subjects: list[Subject],
    board: Board,
    images: list[Path],
    failures: Failures,
) -> None:
    def verify(subject: Subject) -> None:
        done = board.python(
            "-m", "allnet_edge", "verify", subject.bundle, "--public-key", subject.public_key,
            "--json", expect=(0, 7),
        )  # fmt: skip
        told = json.loads(done.stdout)
        good = {one["candidate"]: one["status"] for one in told["golden"]}
        failures.check(set(good.values()) == {"match"}, f"verify {subject.name}: {good}")
        signed = told["signature"]["status"]
        failures.check(signed == "valid", f"verify {subject.name}: signature {signed}")

    def infer(subject: Subject, candidate: str) -> None:
        arguments = ["-m", "allnet_edge", "infer", subject.bundle, *images, "--candidate",
                     candidate, "--threads", 1, "--strict", "--json"]  # fmt: skip
        ours = json.loads(_here(*arguments))["results"]
        theirs = json.loads(board.python(*arguments).stdout)["results"]
        gaps = [abs(a["probability"] - b["probability"]) for a, b in zip(ours, theirs, strict=True)]
        labels = [one["path"] for one, other in zip(ours, theirs, strict=True)
                  if one["label"] != other["label"]]  # fmt: skip
        allowed = judge.ALLOWED[candidate]
        where = f"infer {subject.name} {candidate}"
        failures.check(max(gaps) <= allowed, f"{where}: probabilities differ by {max(gaps):.3g}")
        failures.check(not labels, f"{where}: other labels for {labels}")
        print(f"  {where}: {len(ours)} images, largest difference {max(gaps):.2g}")

    tasks = [pool.submit(verify, subject) for subject in subjects]
    tasks += [pool.submit(infer, subjects[0], "litert-int8")]
    tasks += [pool.submit(infer, subjects[1], "onnx-fp32")]
    for task in tasks:
        task.result()


def _count(
    pool: ThreadPoolExecutor,
    subjects: list[Subject],
    boards: list[Board],
    plugin: Path,
    folder: Path,
) -> counts.Counts:
    script = shutil.copy(HERE / "count_on_device.py", folder)  # its path, too: see _folder

    def count(subject: Subject, board: Board) -> dict[str, counts.Count]:
        marks = folder / f"{subject.name}-{board.profile.cpu}.marks"
        done = board.python(script, subject.bundle, plugin=(plugin, marks))
        told = json.loads(done.stdout.strip().splitlines()[-1])
        return counts.from_marks(marks.read_text(), **told)

    tasks = [(subject, board, pool.submit(count, subject, board))
             for board in boards for subject in subjects]  # fmt: skip
    found: counts.Counts = {}
    for subject, board, task in tasks:
        rows = found.setdefault(f"{board.profile.board} ({board.profile.cpu})", {})
        for candidate, count_of in task.result().items():
            rows[f"{subject.name} {candidate}"] = count_of
    return found


def _versions(subjects: list[Subject], board: Board) -> dict[str, str]:
    """What the counts belong to; told when one of them changes."""
    code = (
        "import json,sys,platform;from importlib.metadata import distributions as d;"
        "print(json.dumps({x.name:x.version for x in d()if x.name in"
        "('ai-edge-litert','numpy','onnxruntime')}|{'python':platform.python_version(),"
        "'libc':platform.libc_ver()[1]}))"
    )
    found: dict[str, str] = json.loads(board.python("-c", code).stdout)
    emulated = subprocess.run(["qemu-aarch64", "--version"], check=True, capture_output=True,
                              text=True)  # fmt: skip
    found["qemu"] = emulated.stdout.split()[2]
    for subject in subjects:
        found |= {f"{subject.name} {name}": sha for name, sha in subject.models.items()}
    return found


def _judge_counts(
    found: counts.Counts, versions: dict[str, str], failures: Failures, *, update: bool
) -> None:
    now = {
        "what": "Instructions that one runner.infer of one image executes on an emulated board, "
        "one thread. Work, not time: see docs/arm.md.",
        "instructions": found,
        "made_with": versions,
    }
    for board, rows in found.items():
        for name, count in rows.items():
            print(f"  {board}: {name}: {count['instructions']:,} ({count['dot_products']:,} dots)")
    before = json.loads(COMMITTED.read_text()) if COMMITTED.is_file() else None
    ask = f"commit the new {COMMITTED.relative_to(REPOSITORY)}"
    if update or before is None:
        COMMITTED.write_bytes(canonical_json(now))
        failures.check(update, f"there were no counts to compare with: {ask}")
        return
    for line in counts.changed_versions(versions, before["made_with"]):
        print(f"  not as it was: {line}")
    judged = counts.judge(found, before["instructions"])
    if not judged.holds and not judged.risen:
        COMMITTED.write_bytes(canonical_json(now))
    failures.add(list(judged.risen), "more instructions (if it must be: --update, and say why)")
    failures.add(list(judged.fallen), f"fewer instructions: {ask}")
    failures.add(list(judged.changed), ask)


def _here(*arguments: object, environment: dict[str, str] | None = None) -> str:
    """Run Python on this machine; what it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], check=False, capture_output=True, text=True,
        env=environment or os.environ,
    )  # fmt: skip
    if done.returncode:
        told = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise AllnetEdgeError(f"exit {done.returncode} on this machine: {arguments[0]}\n{told}")
    return done.stdout


@contextmanager
def _step(what: str) -> Iterator[None]:
    began = time.monotonic()
    print(what, flush=True)
    yield
    print(f"  {time.monotonic() - began:.1f} s", flush=True)


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """A folder whose path has the same length on every machine.

    Paths are among what the emulated program keeps in memory: another length moves what comes after
    them, and with it the counts of ONNX Runtime.
    """
    if kept is not None and kept.exists():
        raise OutputDirError("there is something of this name already", where=kept)
    with tempfile.TemporaryDirectory(prefix="arm-", dir="/tmp") as folder:
        try:
            yield Path(folder)
        finally:
            if kept is not None:
                shutil.copytree(folder, kept, symlinks=True)


if __name__ == "__main__":
    sys.exit(main())
