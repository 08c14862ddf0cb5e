"""Assembling a bundle: next to its final place, under a temporary name, then one rename."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from allnet_edge import __version__
from allnet_edge.artifacts import files, signing
from allnet_edge.artifacts.bundle import MANIFEST, PREPROCESS, SIGNATURE, THRESHOLD, Bundle
from allnet_edge.artifacts.golden import Golden
from allnet_edge.artifacts.manifest import (
    BundleManifest,
    Candidate,
    DataOrigin,
    Requires,
    Source,
    Threshold,
)
from allnet_edge.artifacts.reference import REFERENCE, FrozenReference
from allnet_edge.artifacts.sbom import make_sbom
from allnet_edge.errors import OutputDirError
from allnet_edge.spec.network import Preprocess

SBOM = "docs/sbom.cdx.json"


def write_bundle(
    destination: Path,
    *,
    name: str,
    model: str,
    target: str,
    source: Source,
    classes: tuple[str, ...],
    candidates: tuple[Candidate, ...],
    thresholds: Mapping[str, Threshold],
    preprocess: Preprocess,
    golden: Golden,
    contents: Mapping[str, Path | bytes],
    reference: FrozenReference | None = None,
    runtimes: Mapping[str, str] | None = None,
    data: DataOrigin | None = None,
    created: str | None = None,
    sign: bool = True,
) -> Bundle:
    """Write a bundle in place of an older one, and open it as a device would.

    Args:
        destination: Its folder; whole or as it was before, whatever happens.
        name: What people call it.
        model: Network of the zoo.
        target: Name of the target it is made for.
        classes: With two, ``classes[1]`` is the positive one.
        candidates: In the order in which a device should try them; at most one chosen.
        source: Where the weights come from.
        thresholds: One for each candidate id.
        preprocess: How an image becomes the input tensor.
        golden: With outputs and a tolerance for each candidate id.
        contents: Every other file by its path in the bundle: the candidates' models,
            ``appearance.json``, ``calibration.json``, ``reports/...``, ``docs/...``; a file to
            copy, or its bytes. ``preprocess.json``, ``threshold.json``, ``golden/...``,
            ``docs/sbom.cdx.json`` and the manifest are written from the other arguments.
        reference: The float network's answers on the gate's cells, so that a device can be judged.
        runtimes: For each engine the package and version that the gate was passed with.
        data: The cells that the network was trained and judged on.
        created: ISO 8601; now, or SOURCE_DATE_EPOCH where that is set, by default.
        sign: Sign with the user's key; False leaves the bundle without a signature.

    Raises:
        OutputDirError: The destination is a folder that is no bundle.
        MissingDependencyError: ``sign`` without the cryptography package.
        ValueError: The arguments contradict each other: a bug of the caller.
    """
    _refuse_foreign(destination)
    created = created or _now()
    assembled = files.temporary_name(destination)
    files.remove(assembled)
    generated = {
        PREPROCESS: files.canonical_json(preprocess.model_dump(mode="json")),
        THRESHOLD: files.canonical_json(
            {key: value.model_dump(mode="json") for key, value in thresholds.items()}
        ),
        **golden.to_files(),
    }
    if reference is not None:
        generated[REFERENCE] = reference.to_bytes()
    try:
        _write_all(assembled, {**contents, **generated})
        hashes = files.hash_tree(assembled)
        models = {one.file: hashes[one.file] for one in candidates if one.file in hashes}
        sbom = make_sbom(name=name, created=created, models=models)
        _write_all(assembled, {SBOM: sbom})
        manifest = BundleManifest(
            name=name,
            model=model,
            target=target,
            created=created,
            source=source,
            files=hashes | {SBOM: files.sha256_bytes(sbom)},
            classes=classes,
            positive=classes[1] if len(classes) == 2 else None,
            candidates=candidates,
            requires=Requires(allnet_edge=__version__, runtimes=dict(runtimes or {})),
            data=data,
        )
        text = files.canonical_json(manifest.model_dump(mode="json"))
        _write_all(assembled, {MANIFEST: text})
        if sign:
            _write_all(assembled, {SIGNATURE: signing.sign(text).to_bytes()})
        bundle = Bundle.open(assembled)
        files.commit_folder(assembled, destination)
    except BaseException:
        files.remove(assembled)
        raise
    return replace(bundle, root=destination)


def _refuse_foreign(destination: Path) -> None:
    if destination.exists() and not (destination / MANIFEST).is_file():
        if destination.is_dir() and not any(destination.iterdir()):
            return
        raise OutputDirError(
            "this is not a bundle, so it is not replaced by one",
            where=destination,
            fix="choose another folder with -o, or remove this one",
        )


def _write_all(folder: Path, contents: Mapping[str, Path | bytes]) -> None:
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copyfile(content, path)


def _now() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = (
        datetime.fromtimestamp(int(epoch), timezone.utc) if epoch else datetime.now(timezone.utc)
    )
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")
