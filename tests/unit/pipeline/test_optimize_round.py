"""A round of latency in its own process, with real runtimes on real files of images."""

from pathlib import Path

import pytest
from device_models import SIZE, ModelFile, cell_images
from PIL import Image

from allnet_edge.errors import BenchmarkInvalid, UsageError
from allnet_edge.pipeline.optimize_round import RoundRequest, TimedFile, run_round
from allnet_edge.search.rounds import ROUNDS
from allnet_edge.spec.network import Preprocess


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("images")
    paths = []
    for at, pixels in enumerate(cell_images(3)):
        paths.append(folder / f"{at}.png")
        Image.fromarray(pixels).save(paths[-1])
    return tuple(paths)


def request(images: tuple[Path, ...], **files: Path) -> RoundRequest:
    return RoundRequest(
        files=tuple(
            TimedFile(sha256=name, path=path, images=images, preprocess=Preprocess(size=SIZE))
            for name, path in files.items()
        ),
        number=1,
        mode="quick",
        threads=1,
    )


def test_every_file_has_its_turn_in_either_runtime(
    images: tuple[Path, ...], model_files: dict[str, ModelFile], tmp_path: Path
) -> None:
    told: list[None] = []
    asked = request(
        images, litert=model_files["litert.fp32.1"].path, onnx=model_files["onnx.uint8.1"].path
    )
    found = run_round(asked, tmp_path / "log", lambda: told.append(None))
    assert list(found.turns) == ["litert", "onnx"]
    assert len(told) == 2
    for turn in found.turns.values():
        assert 0 < turn.p50 < 1e3 * ROUNDS["quick"].seconds
        assert turn.n >= ROUNDS["quick"].queries


def test_a_file_that_cannot_be_opened_is_the_error_it_is(
    images: tuple[Path, ...], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="neither a bundle's folder nor a model file"):
        run_round(request(images, gone=tmp_path / "gone.onnx"), tmp_path / "log", lambda: None)


def test_a_query_that_fails_is_never_a_number(
    model_files: dict[str, ModelFile], tmp_path: Path
) -> None:
    asked = request((), litert=model_files["litert.fp32.1"].path)  # nothing to ask
    with pytest.raises(BenchmarkInvalid, match="a query failed"):
        run_round(asked, tmp_path / "log", lambda: None)
