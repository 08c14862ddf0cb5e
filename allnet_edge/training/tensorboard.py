"""Event files for TensorBoard, written without TensorFlow."""

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from allnet_edge.errors import MissingDependencyError


class Scalars(Protocol):
    """Takes the figures of an epoch."""

    def __call__(self, values: Mapping[str, float], epoch: int) -> None:
        """Note them."""
        ...


@contextmanager
def scalars_to(folder: Path | None, done: int) -> Iterator[Scalars]:
    """Write scalars into event files; without a folder nothing happens.

    Args:
        done: Epochs that a resumed run already has: what an earlier process wrote beyond them is
            hidden, as TensorBoard's own restarts do it.

    Raises:
        MissingDependencyError: tensorboardX is not installed.
    """
    if folder is None:
        yield _nowhere
        return
    if importlib.util.find_spec("tensorboardX") is None:
        raise MissingDependencyError(
            "--tensorboard needs tensorboardX", fix="pip install 'allnet-edge[train]'"
        )
    from tensorboardX import SummaryWriter  # noqa: PLC0415 - only where it is asked for

    # The file's name has only the second: two runs in it would write over each other.
    writer = SummaryWriter(
        str(folder), purge_step=done + 1 if done else None, filename_suffix=f".{done}"
    )

    def write(values: Mapping[str, float], epoch: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, epoch)
        writer.flush()

    try:
        yield write
    finally:
        writer.close()


def _nowhere(values: Mapping[str, float], epoch: int) -> None:
    """Where no event file is wanted."""
