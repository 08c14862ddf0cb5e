"""What the embedded default's training hands to the build."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from allnet_edge.data.phantom import write_dataset
from allnet_edge.pipeline.stages import train as stage
from allnet_edge.progress import silent
from allnet_edge.spec.training import TrainSettings
from allnet_edge.training import fit

RUN = {
    "model.safetensors", "model.json", "history.json", "split.json", "metrics.json", "train.log",
}  # fmt: skip


def test_the_stage_holds_every_file_of_a_run_and_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(tmp_path / "cells", images=60, patients=12, seed=1, size=48)
    folder, partial = tmp_path / "train.tmp", tmp_path / "train.partial"
    folder.mkdir()
    partial.mkdir()

    def trained(*arguments: object, **_: object) -> None:
        assert arguments[4] == partial
        for name in (*RUN, "checkpoint.safetensors", "best-1.safetensors"):
            (partial / name).write_text(name)

    monkeypatch.setattr(fit, "train", trained)
    work = SimpleNamespace(
        recipe=SimpleNamespace(train=TrainSettings(model="allnet")),
        sources=SimpleNamespace(data=tmp_path / "cells", cache=tmp_path / ".scan"),
        folder=folder, partial=partial, progress=silent, log=logging.getLogger("a test"),
    )  # fmt: skip
    stage.run(work)
    assert {path.name for path in folder.iterdir()} == RUN
    assert all((folder / name).read_text() == name for name in RUN)
