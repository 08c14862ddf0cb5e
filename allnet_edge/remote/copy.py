"""Copies to and from a device that go on where they stood; only whole files get their name."""

from dataclasses import dataclass
from pathlib import Path

from allnet_edge.artifacts.bundle import MANIFEST, SIGNATURE, Bundle
from allnet_edge.artifacts.device_files import FOLDER
from allnet_edge.errors import UsageError
from allnet_edge.progress import Progress, silent
from allnet_edge.remote.session import Session
from allnet_edge.remote.ssh import Device
from allnet_edge.remote.transfer import File, Meter, fetch, insist, list_of, listed, send_all
from allnet_edge.spec.base import known_name

BUNDLES, BENCH, WHEELS = "bundles", "bench", "wheels"
BROUGHT_BACK = (FOLDER, "reports")


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did.

    Attributes:
        where: The folder or file that is now there.
        files: How many it has.
        size: Their bytes.
        sent: Bytes that went over the connection.
        cuts: How often the connection was cut on the way.
    """

    where: str
    files: int
    size: int
    sent: int
    cuts: int = 0


def push_bundle(device: Device, bundle: Path, *, progress: Progress = silent) -> Copied:
    """Copy a bundle to ``<folder>/bundles/<name>``, whole or not at all.

    What is there already is not sent again. An older bundle of that name gives way; what the device
    made of this very bundle (its engines) stays.

    Raises:
        IntegrityError: The bundle here was changed, or a file does not arrive as it was sent.
        EnvironmentMismatch: No connection, or one that is cut again and again.
        StorageError: No room over there.
    """
    opened = Bundle.open(bundle)
    names = [MANIFEST, *opened.manifest.files]
    if opened.path(SIGNATURE).is_file():
        names.append(SIGNATURE)
    final = device.path(BUNDLES, _plain(opened.manifest.name))
    assembled = device.path(BUNDLES, f".{opened.manifest.name}.part")
    files = {name: File.of(opened.path(name)) for name in names}
    meter = Meter("copying, KiB", sum(one.size for one in files.values()), progress)

    def once(session: Session) -> None:
        every = listed(files)
        if not session.ask("differ", root=final, files=every)["differ"]:
            meter.start(sum(one.size for one in files.values()))
            return
        send_all(session, assembled, files, source=opened.root, also=final, meter=meter)
        session.ask(
            "commit", assembled=assembled, final=final, files=list(files), made_there=FOLDER,
            identity=MANIFEST,
        )  # fmt: skip

    cuts = insist(device, once, meter)
    return Copied(final, len(files), sum(one.size for one in files.values()), meter.moved, cuts)


def push_file(device: Device, path: Path, below: str, *, progress: Progress = silent) -> Copied:
    """Copy one file to ``<folder>/<below>/``; raises like ``push_bundle``."""
    if not path.is_file():
        raise UsageError("no such file", where=path)
    files = {_plain(path.name): File.of(path)}
    meter = Meter(f"copying {path.name}, KiB", files[path.name].size, progress)
    root = device.path(below)

    def once(session: Session) -> None:
        send_all(session, root, files, source=path.parent, also=root, meter=meter)

    cuts = insist(device, once, meter)
    return Copied(device.path(below, path.name), 1, files[path.name].size, meter.moved, cuts)


def pull(device: Device, name: str | None, out: Path, *, progress: Progress = silent) -> Copied:
    """Bring back what a device made of a bundle, to ``out/<name>``: engines, reports, benchmarks.

    Args:
        name: Of the bundle; None for the only one there.

    Raises:
        UsageError: No such bundle there, or several and no name.
        IntegrityError: A file does not arrive as it left.
        EnvironmentMismatch: As for ``push_bundle``.
    """
    with Session(device) as session:
        chosen = which_bundle(session, name)
        root = device.path(BUNDLES, chosen)
        sources = {
            f"{chosen}/{key}": (root, key, one)
            for key, one in list_of(session, root, BROUGHT_BACK).items()
        }
        bench = device.path(BENCH)
        sources |= {
            f"{chosen}/{BENCH}/{key.partition('/')[2]}": (bench, key, one)
            for key, one in list_of(session, bench, (chosen,)).items()
        }
    total = sum(one.size for *_, one in sources.values())
    meter = Meter("bringing back, KiB", total, progress)

    def once(session: Session) -> None:
        meter.start(0)
        for local, (root, key, one) in sources.items():
            fetch(session, root, key, one, target=out / local, meter=meter)

    cuts = insist(device, once, meter)
    return Copied(str(out / chosen), len(sources), total, meter.moved, cuts)


def which_bundle(session: Session, name: str | None) -> str:
    """The bundle of this name on the device, or the only one.

    Raises:
        UsageError: There is none, or there are several and no name; names them.
    """
    root = session.device.path(BUNDLES)
    there = session.ask("folders", root=root, marker=MANIFEST)["folders"]
    names = [str(one) for one in there] if isinstance(there, list) else []
    if not names:
        raise UsageError(
            f"there is no bundle on {session.device.host}",
            where=root,
            fix=f"allnet-edge device push {session.device.host} BUNDLE",
        )
    if name is not None:
        return known_name("bundle of the device", name, names)
    if len(names) > 1:
        raise UsageError(
            f"{session.device.host} has several bundles: {', '.join(names)}",
            fix="choose one with --bundle",
        )
    return names[0]


def _plain(name: str) -> str:
    if "/" in name or name.startswith("."):
        raise UsageError(f"'{name}' cannot be the name of a file on the device")
    return name
