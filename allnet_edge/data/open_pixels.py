"""The one place that decides who decodes: threads, processes, or the cache."""

from pathlib import Path

from allnet_edge.data.decode_pool import DecodedByProcesses
from allnet_edge.data.decode_threads import DecodedByThreads
from allnet_edge.data.pixel_cache import Entry
from allnet_edge.data.pixel_cache_fill import cached
from allnet_edge.data.pixels import ImageFiles, PixelSource
from allnet_edge.progress import Progress, silent


def open_pixels(
    files: ImageFiles,
    *,
    workers: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> PixelSource:
    """Open the pixels of files; to be closed by the caller, best in a ``with``.

    Args:
        workers: Processes that decode; 0 for threads of this one.
        cache: Folder in which decoded pixels are kept. The first time they are all decoded, which
            ``progress`` is told of; later no image is read. Needs the files' sha256.

    Raises:
        EnvironmentMismatch: The processes cannot be started; with a cache also a worker's end.
        StorageError, ImageError, IntegrityError: The cache cannot be filled; see `cached`.
    """

    def decoder() -> PixelSource:
        return DecodedByProcesses(files, workers) if workers else DecodedByThreads(files)

    if cache is None or not files.paths:
        return decoder()
    return cached(Entry.of(cache, files), decoder, progress)
