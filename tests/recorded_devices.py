"""Unpacks tests/recordings: what devices say about themselves, as a root file system."""

from pathlib import Path

RECORDINGS = Path(__file__).parent / "recordings"


def unpack(name: str, folder: Path) -> Path:
    """Write the files of one device below ``folder`` and return that."""
    text = (RECORDINGS / f"{name}.txt").read_text(encoding="utf-8")
    for part in text.split("== ")[1:]:
        path, _, content = part.partition("\n")
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return folder
