"""What the microscope's environment takes on the disk: our wheel with the extras litert and serve.

python benchmarks/device_environment.py      writes benchmarks/results/device_environment.json

Byte code that Python writes beside the modules is counted by itself: pip leaves it out with
--no-compile, and then it appears module by module as they are used. pip and setuptools, which
every fresh environment has, are counted by themselves, too.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from datetime import date
from pathlib import Path

from allnet_edge.artifacts.files import write_json
from allnet_edge.measure.system import describe

REPOSITORY = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "device_environment.json"
EXTRAS = "litert,serve"
TOOLS = {"pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        wheel = _wheel(root)
        _run(sys.executable, "-m", "venv", str(root / "venv"))
        pip = (str(root / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet")
        _run(*pip, "-c", str(_versions(root)), f"{wheel}[{EXTRAS}]")
        packages = next((root / "venv" / "lib").glob("python3*/site-packages"))
        bytes_of = _sizes(packages)
    parts: Counter[str] = Counter()
    for (kind, package), size in bytes_of.items():
        parts["tools" if package in TOOLS else kind] += size
    largest = Counter(
        {name: size for (kind, name), size in bytes_of.items() if kind == "files"}
    ).most_common(8)
    found = {
        "what": f"installed size of allnet-edge[{EXTRAS}], site-packages, MB of 1e6 bytes",
        "date": date.today().isoformat(),
        "machine": describe().model_dump(mode="json"),
        "files_mb": round(parts["files"] / 1e6, 1),
        "byte_code_mb": round(parts["byte code"] / 1e6, 1),
        "pip_and_setuptools_mb": round(parts["tools"] / 1e6, 1),
        "largest_mb": {name: round(size / 1e6, 1) for name, size in largest},
    }
    write_json(RESULT, found)
    print(found)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _wheel(root: Path) -> Path:
    _run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(root), str(REPOSITORY)
    )
    return next(root.glob("*.whl"))


def _versions(root: Path) -> Path:
    """The device's lock as constraints: its versions, without hashes."""
    lock = (REPOSITORY / "requirements" / "device.txt").read_text()
    lines = [line.rstrip(" \\") for line in lock.splitlines() if "==" in line]
    path = root / "versions.txt"
    path.write_text("\n".join(lines))
    return path


def _sizes(packages: Path) -> Counter[tuple[str, str]]:
    """Bytes by (files or byte code, package)."""
    sizes: Counter[tuple[str, str]] = Counter()
    for path in packages.rglob("*"):
        if path.is_file() and not path.is_symlink():
            package = path.relative_to(packages).parts[0].split("-")[0].removesuffix(".pth")
            kind = "byte code" if path.suffix == ".pyc" else "files"
            sizes[kind, package] += path.stat().st_size
    return sizes


if __name__ == "__main__":
    main()
