"""Arrays as .npz bytes that depend on the arrays alone, so that equal content has equal hashes."""

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allnet_edge.errors import IntegrityError


def pack(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """The bytes of an archive; a date, which numpy would write, is not among them."""
    # A ZipInfo made from a name alone is dated 1980-01-01.
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(arrays[name]), allow_pickle=False)
    return stream.getvalue()


def unpack(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of an archive; nothing in it is run.

    Raises:
        IntegrityError: It is absent, damaged or no archive.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise IntegrityError(f"cannot be read as an npz archive: {error}", where=path) from error
