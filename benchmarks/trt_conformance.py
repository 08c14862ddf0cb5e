"""Is all that we use of TensorRT's Python module, and of the CUDA runtime, in the real ones?

The bindings of TensorRT 8.6 to 11 are on the package index, 1 MB each; the libraries behind them
mostly are not. A binding calls ten C functions of its libraries, none of them while it is imported:
so libraries that have these functions and nothing in them are compiled here, and the real bindings
are imported over them, each in a process of its own. What is then looked up is the real module.
The CUDA runtime is on the index whole; its functions are looked up in the real library.

    python benchmarks/trt_conformance.py -o benchmarks/results/trt_conformance.json
"""

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from allnet_edge.artifacts.files import write_json
from allnet_edge.convert.engine_from_onnx import BUILDER_ATTRIBUTES, BUILDER_OPTIONAL
from allnet_edge.engines.cuda import GRAPH_SIGNATURES, SIGNATURES
from allnet_edge.engines.tensorrt_runner import ATTRIBUTES, OPTIONAL

# The first and last of each generation that there are wheels of, and those of JetPack 6 and 7.
VERSIONS = (
    "8.6.1", "10.0.1", "10.3.0", "10.7.0", "10.13.3.9", "10.16.1.11", "11.0.0.114", "11.4.0.106",
)  # fmt: skip
CUDA = ("cu11==11.8.89", "cu12==12.6.77", "cu12==12.9.79", "==13.0.96", "==13.5.37")
FUNCTIONS = ("cudaGetErrorString", *SIGNATURES, *GRAPH_SIGNATURES)
REQUIRED = {"runtime": ATTRIBUTES, "builder": BUILDER_ATTRIBUTES}
WANTED = {"runtime": OPTIONAL, "builder": BUILDER_OPTIONAL}
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser", "nvparsers")  # the last in 8 alone
OF_BINDINGS = re.compile(r"\b(create\w+_INTERNAL|get\w+|initLib\w+|_ZN\d+nv\w+)$")

LOOK = """
import importlib, json, sys
trt = importlib.import_module(sys.argv[1])
asked = json.loads(sys.argv[2])
print(json.dumps({
    f"{owner}.{name}" if owner else name: hasattr(getattr(trt, owner, None) if owner else trt, name)
    for owner, names in asked.items() for name in names
}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--versions", default=",".join(VERSIONS))
    told = parser.parse_args()
    found = {version: examine(version) for version in told.versions.split(",")}
    cuda = {wheel.partition("==")[2]: examine_cuda(wheel) for wheel in CUDA}
    missing = [v for v, row in found.items() if row["missing"]] + [v for v in cuda if cuda[v]]
    document = {
        "python": platform.python_version(),
        "required": {half: flat(listed) for half, listed in REQUIRED.items()},
        "optional": {half: flat(listed) for half, listed in WANTED.items()},
        "versions": found,
        "cuda": {"functions": sorted(FUNCTIONS), "missing": cuda},
    }
    write_json(told.out, document)
    for version, row in found.items():
        absent = ", ".join(row["optional_absent"]) or "none"
        print(f"{version:>11}  missing: {row['missing'] or 'none'}  not there: {absent}")
    for version, names in cuda.items():
        print(f"CUDA {version}  missing: {names or 'none'}")
    return 1 if missing else 0


def examine(version: str) -> dict[str, list[str]]:
    """Look every attribute up in one version's bindings."""
    required, optional = merged(REQUIRED), merged(WANTED)
    with tempfile.TemporaryDirectory() as folder:
        there = look(version, Path(folder), joined(required, optional))
    return {
        "missing": [name for name in flat(required) if not there[name]],
        "optional_absent": [name for name in flat(optional) if not there[name]],
    }


def examine_cuda(wheel: str) -> list[str]:
    """The functions that one CUDA runtime does not have; loading it needs no driver."""
    prefix = "-" if wheel.startswith("cu") else ""
    with tempfile.TemporaryDirectory() as folder:
        install(f"nvidia-cuda-runtime{prefix}{wheel}", Path(folder))
        (library,) = Path(folder).glob("nvidia/*/lib/libcudart.so.*")
        code = "import ctypes, sys; l = ctypes.CDLL(sys.argv[1]); "
        code += "print(*[n for n in sys.argv[2:] if not hasattr(l, n)])"
        done = subprocess.run(
            [sys.executable, "-c", code, library, *FUNCTIONS],
            check=True,
            capture_output=True,
            text=True,
        )
    return done.stdout.split()


def install(requirement: str, folder: Path) -> None:
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:",
            "--retries", "1", "--timeout", "15", "--disable-pip-version-check",
            "--target", str(folder), requirement,
        ],
        check=True,
    )  # fmt: skip


def look(version: str, folder: Path, asked: Mapping[str, tuple[str, ...]]) -> dict[str, bool]:
    """Install the bindings into a folder, import them over empty libraries, and ask."""
    package = "tensorrt-bindings" if version.startswith("8.") else "tensorrt-cu12-bindings"
    install(f"{package}=={version}", folder)
    binding = next(folder.glob("tensorrt*/tensorrt.so"))
    module = binding.parent.name
    empty_libraries(binding, folder / "empty", version.partition(".")[0])
    done = subprocess.run(
        [sys.executable, "-c", LOOK, module, json.dumps(asked)],
        env={"LD_LIBRARY_PATH": str(folder / "empty"), "PYTHONPATH": str(folder)},
        check=True,
        capture_output=True,
        text=True,
    )
    answer: dict[str, bool] = json.loads(done.stdout)
    return answer


def empty_libraries(binding: Path, folder: Path, major: str) -> None:
    """Libraries that have the functions which the binding names, and nothing in them."""
    compiler, lister = shutil.which("cc"), shutil.which("nm")
    if compiler is None or lister is None:
        raise SystemExit("a C compiler and nm are needed")
    folder.mkdir()
    listed = subprocess.run(
        [lister, "-D", "--undefined-only", binding], check=True, capture_output=True, text=True
    )
    names = {found[1] for line in listed.stdout.splitlines() if (found := OF_BINDINGS.search(line))}
    source = folder / "empty.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in sorted(names)))
    for library in LIBRARIES:
        name = f"lib{library}.so.{major}"
        subprocess.run(
            [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, source],
            check=True,
        )


def merged(halves: Mapping[str, Mapping[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    return joined(*halves.values())


def joined(*listed: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in listed:
        for owner, names in one.items():
            found[owner] = tuple(dict.fromkeys((*found.get(owner, ()), *names)))
    return found


def flat(listed: Mapping[str, tuple[str, ...]]) -> list[str]:
    return sorted(
        f"{owner}.{name}" if owner else name for owner, names in listed.items() for name in names
    )


if __name__ == "__main__":
    sys.exit(main())
