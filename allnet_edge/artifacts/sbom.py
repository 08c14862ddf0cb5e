"""The software bill of materials of a bundle: CycloneDX 1.5 in JSON (ECMA-424).

It lists the Python packages that the bundle was built and gated with and that a device needs to
run it, with their dependencies, and the model files with their hashes.
"""

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata

from allnet_edge import __version__
from allnet_edge.artifacts.files import canonical_json, sha256_bytes

RUNTIME_PACKAGES = (
    "numpy",
    "pillow",
    "pydantic",
    "typer",
    "rich",
    "ai-edge-litert",
    "onnxruntime",
    "cryptography",
)
"""What the device side imports: the package's own dependencies and the runtime extras."""

_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)[^;]*(?:;\s*(.*))?$")


def make_sbom(
    *,
    name: str,
    created: str,
    models: Mapping[str, str],
    packages: Iterable[str] = RUNTIME_PACKAGES,
) -> bytes:
    """The bytes of ``docs/sbom.cdx.json``.

    Args:
        name: Of the bundle.
        created: ISO 8601, UTC.
        models: SHA-256 of each model file, by its path in the bundle.
        packages: Distributions that run the bundle; their dependencies follow by themselves,
            those that are not installed here are left out.
    """
    installed = list(_closure(packages))
    components = [
        _component("allnet-edge", __version__, [{"expression": "Apache-2.0"}]),
        *(_component(one.name, one.version, _licences(one)) for one in installed),
        *(_model(path, sha256) for path, sha256 in sorted(models.items())),
    ]
    identity = sha256_bytes(canonical_json([name, created, components]))
    return canonical_json(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "serialNumber": f"urn:uuid:{uuid.UUID(identity[:32], version=4)}",
            "version": 1,
            "metadata": {
                "timestamp": created,
                "component": {"type": "application", "name": name, "bom-ref": f"bundle:{name}"},
                "tools": {
                    "components": [
                        {"type": "application", "name": "allnet-edge", "version": __version__}
                    ]
                },
            },
            "components": components,
        }
    )


def _component(name: str, version: str, licences: list[dict[str, object]]) -> dict[str, object]:
    purl = f"pkg:pypi/{_normal(name)}@{version}"
    return {
        "type": "library",
        "name": name,
        "version": version,
        "purl": purl,
        "bom-ref": purl,
        **({"licenses": licences} if licences else {}),
    }


def _model(path: str, sha256: str) -> dict[str, object]:
    return {
        "type": "machine-learning-model",
        "name": path,
        "bom-ref": f"model:{path}",
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }


def _closure(roots: Iterable[str]) -> Iterator[metadata.Distribution]:
    """The installed distributions that the roots need, each once, sorted by name."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(roots)
    while waiting:
        name = _normal(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # needed on another platform or Python only
        waiting.extend(_needed(found[name].requires or []))
    return (found[name] for name in sorted(found))


def _needed(requirements: Iterable[str]) -> Iterator[str]:
    """The names of requirements, without those that belong to an extra of the package."""
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)
        if match and "extra" not in (match[2] or ""):
            yield match[1]


def _licences(distribution: metadata.Distribution) -> list[dict[str, object]]:
    """The licence that a package states: its SPDX expression, else a short name."""
    stated = distribution.metadata
    if "License-Expression" in stated:
        return [{"expression": stated["License-Expression"]}]
    text = stated["License"].strip() if "License" in stated else ""
    if text and "\n" not in text:
        return [{"license": {"name": text}}]
    classifiers = stated.get_all("Classifier") or []
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    return [{"license": {"name": name}} for name in names]


def _normal(name: str) -> str:
    """A distribution's name in its one normal spelling (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
