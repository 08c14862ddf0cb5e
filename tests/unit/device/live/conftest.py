"""A live session on a small bundle and a scripted camera."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from phantom_fields import phantom_field

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.device.fields.assess import FieldAssessor
from allnet_edge.device.live.session import Live
from allnet_edge.device.live.settings import LiveSettings
from allnet_edge.device.session import Session
from allnet_edge.device.store.store import Store
from allnet_edge.errors import StorageError
from allnet_edge.segmentation.cell import Field


@pytest.fixture(scope="session")
def fields() -> list[Field]:
    """Six fields with up to four white cells each."""
    return [phantom_field(seed, 4, (240, 320), 36.0)[0] for seed in range(6)]


@pytest.fixture
def bundle(make_bundle: Callable[..., Path]) -> Bundle:
    return Bundle.open(make_bundle())


@pytest.fixture
def assessor(bundle: Bundle) -> Iterator[FieldAssessor]:
    with Session(bundle, threads=1) as session:
        yield FieldAssessor(session)


class Disk(Store):
    """A store whose disk can be full for a while."""

    full = False

    def add_field(self, *arguments: object, **more: object) -> list[int]:
        if self.full:
            raise StorageError("the disk is full")
        return super().add_field(*arguments, **more)

    def log(self, *arguments: object, **more: object) -> None:
        if self.full:
            raise StorageError("the disk is full")
        super().log(*arguments, **more)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Disk]:
    with Disk.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def start(assessor: FieldAssessor, store: Disk) -> Iterator[Callable[..., Live]]:
    """Starts a live session that ends with the test."""
    with ExitStack() as stack:

        def begin(camera: object, **settings: object) -> Live:
            kept = settings.pop("store", None)
            chosen = LiveSettings(**({"frame_timeout_s": 0.05} | settings))
            return stack.enter_context(Live(assessor, camera, store=kept, settings=chosen))

        yield begin
