"""Fields that are sent to the server: decoded like every image, assessed, stored."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http import HTTPStatus

import numpy as np
from PIL import Image

from allnet_edge.data.images import Tensor, decode
from allnet_edge.device.cameras.frame import Frame
from allnet_edge.device.fields.assess import FieldAssessor
from allnet_edge.device.fields.results import FieldResult
from allnet_edge.device.live.bundle_watch import BundleWatch
from allnet_edge.device.live.pictures import Pictures, encoded_cells, encoded_field
from allnet_edge.device.service.pictures import Shot
from allnet_edge.device.service.problems import Refusal
from allnet_edge.device.store.store import Store
from allnet_edge.errors import IntegrityError

PICTURE_BYTES = 8_000_000
MEDIA_TYPES = ("image/png", "image/jpeg", "image/bmp", "image/tiff", "application/octet-stream")


class Uploads:
    """Takes one field after the other; safe to use from many threads.

    Args:
        assessor: Takes turns by itself.
        store: Where results go.
        keep_pictures: Store the pictures, too.

    Attributes:
        latest: The field that was sent last; None before the first.
        error: The bundle was changed: nothing is taken any more. None else.
    """

    def __init__(self, assessor: FieldAssessor, store: Store, *, keep_pictures: bool) -> None:
        self._assessor, self._store, self._keep = assessor, store, keep_pictures
        used = (assessor.session, assessor.shadow)
        self._watch = BundleWatch(
            assessor.bundle, tuple(one.candidate for one in used if one is not None)
        )
        self._lock = threading.Lock()
        self._pictures = Pictures(PICTURE_BYTES)
        self._sent = 0
        self.latest: Shot | None = None
        self.error: IntegrityError | None = None

    def take(self, slide: int, rgb: Tensor, name: str) -> tuple[str, FieldResult, list[int]]:
        """Assess and store a field.

        Args:
            slide: The open one.
            rgb: uint8 ``[height, width, 3]``, RGB.
            name: What the sender calls it; may be empty.

        Returns:
            The name of the picture, the result, and the ids of its cells in order.

        Raises:
            UsageError: The slide is over.
            StorageError: It cannot be stored.
            IntegrityError: The bundle was changed meanwhile.
        """
        with self._lock:
            self._check()
            now = datetime.now(timezone.utc)
            frame = Frame(self._sent, rgb, now, time.monotonic_ns(), name)
            self._sent += 1
            result = self._assessor.assess(frame)
            picture = encoded_field(rgb) if self._keep else None
            cells = encoded_cells(result) if self._keep else None
            ids = self._store.add_field(slide, result, picture=picture, cell_pictures=cells)
            self._pictures.add(tuple(ids), result)
            key = f"upload-{frame.number}"
            self.latest = Shot(key, rgb, frame.at_ns)
            return key, result, ids

    def _check(self) -> None:
        try:
            self._watch.check()
        except IntegrityError as error:
            self.error = error
            raise

    def picture(self, cell: int) -> Tensor | None:
        """As ``Live.picture``, of cells in fields that were sent."""
        return self._pictures.get(cell)


class Places:
    """How many uploads may be in work or waiting; one more is not let in."""

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)

    @contextmanager
    def one(self, refusal: Refusal) -> Iterator[None]:
        """Hold a place.

        Raises:
            Refusal: The one that is handed in, if there is none.
        """
        if not self._free.acquire(blocking=False):
            raise refusal
        try:
            yield
        finally:
            self._free.release()


def decoded(data: bytes, most_pixels: int) -> Tensor:
    """The pixels of an uploaded file, uint8 ``[height, width, 3]``, RGB.

    Raises:
        Refusal: More pixels than are taken; known from the header, before anything is decoded.
        ImageError: As ``data.images.decode``.
    """
    size = _claimed(data)
    if size is not None and size[0] * size[1] > most_pixels:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the image has {size[0]} x {size[1]} pixels, at most {most_pixels:,} are taken",
            where="body",
            fix="send one field of view, not a whole slide",
        )
    return np.asarray(decode(data))


def _claimed(data: bytes) -> tuple[int, int] | None:
    """Width and height by the header; None where ``decode`` has to say what is wrong with it."""
    try:
        with Image.open(io.BytesIO(data), formats=("BMP", "JPEG", "PNG", "TIFF")) as image:
            width, height = image.size
            return int(width), int(height)
    except Exception:  # noqa: BLE001 - damaged bytes may raise nearly anything; decode words it
        return None
