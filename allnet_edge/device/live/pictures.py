"""Pictures of cells and fields: the latest in bounded memory, on disk only if asked."""

import io
import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from allnet_edge.device.fields.results import FieldResult

Picture = NDArray[np.uint8]


class Pictures:
    """What the network was shown of the latest cells, by cell id; the least used give way."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit, self._held = limit_bytes, 0
        self._lock = threading.Lock()
        self._by_id = OrderedDict[int, Picture]()

    def add(self, ids: tuple[int, ...], result: FieldResult) -> None:
        """Keep the pictures of a field's cells."""
        with self._lock:
            for identifier, cell in zip(ids, result.cells, strict=True):
                if cell.picture is not None:
                    self._by_id[identifier] = cell.picture
                    self._held += cell.picture.nbytes
            while self._held > self._limit:
                self._held -= self._by_id.popitem(last=False)[1].nbytes

    def get(self, identifier: int) -> Picture | None:
        """uint8 ``[size, size, 3]``; None where it gave way, or was never shown to the network."""
        with self._lock:
            found = self._by_id.get(identifier)
            if found is not None:
                self._by_id.move_to_end(identifier)
            return found


def encoded_field(rgb: Picture) -> bytes:
    """A field's picture as it is stored: PNG, which changes no pixel."""
    return _png(rgb)


def encoded_cells(result: FieldResult) -> dict[int, bytes]:
    """What the network was shown, by index of the cell: PNG, which changes no pixel."""
    return {cell.index: _png(cell.picture) for cell in result.cells if cell.picture is not None}


def _png(rgb: Picture) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
