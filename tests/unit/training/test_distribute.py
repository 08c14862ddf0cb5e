"""Several processes and several devices take the very steps that one would have taken."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from training_support import SETTINGS, Cells, free_port, scalars_in

from allnet_edge.data.phantom import write_dataset
from allnet_edge.errors import UsageError
from allnet_edge.models.storage import float_model
from allnet_edge.spec.training import TrainRuntime
from allnet_edge.training.distribute import Crew, gather
from allnet_edge.training.fit import train

pytestmark = pytest.mark.xdist_group("jax")
SCRIPT = Path(__file__).with_name("cli_with_zoo.py")
CHECKPOINT = "checkpoint.safetensors"
EPOCHS, STEPS = 4, 5
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantom cells and the recipe of a network with a batch norm and a dropout."""
    folder = tmp_path_factory.mktemp("distributed")
    write_dataset(folder / "cells", images=62, patients=12, seed=1, size=48)
    cells = Cells.of(folder / "cells", seed=5)
    # The last batch of an epoch has four images, so that nothing is left out on two devices.
    assert len(cells.paths("train")) == 36
    (folder / "split.json").write_text(cells.split.model_dump_json())
    (folder / "mini.toml").write_text(
        'title = "mini"\nsource = "the tests"\n[train]\nmodel = "mini"\ninput_size = 32\n'
        'batch_size = 8\nlearning_rate = 3e-3\naugment = "dihedral"\nseed = 5\n'
    )
    return folder


@pytest.fixture(scope="session")
def start(shared: Path) -> Start:
    """``start("--distribute", "local", out=..., XLA_FLAGS=...)``: a training on JAX."""
    pytest.importorskip("jax")

    def begin(
        *arguments: object, out: Path, backend: str = "jax", **environment: str
    ) -> "subprocess.Popen[str]":
        told = [
            "train", "--recipe", shared / "mini.toml", "--data", shared / "cells", "-o", out,
            "--split", shared / "split.json", "--json",
        ]  # fmt: skip
        # What one process compiled the others need not compile again.
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(shared / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        return subprocess.Popen(
            [sys.executable, SCRIPT, *map(str, [*told, *arguments])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"KERAS_BACKEND": backend} | cache | environment,
        )

    return begin


def end(process: "subprocess.Popen[str]", code: int = 0) -> tuple[str, str]:
    out, err = process.communicate()
    assert process.returncode == code, err
    return out, err


@pytest.fixture(scope="session")
def alone(start: Start, shared: Path) -> Path:
    """The run of one process on one device."""
    _, err = end(start("--epochs", EPOCHS, "--tensorboard", out=shared / "alone"))
    assert json.loads(err.splitlines()[-1]) == ["jax"]
    assert "jax" in float_model.read(shared / "alone").record.versions
    assert len(scalars_in(shared / "alone" / "tensorboard")) == 8 * EPOCHS
    return shared / "alone"


def same_state(ours: Path, theirs: Path, atol: float) -> None:
    ours, theirs = (load_file(folder / CHECKPOINT) for folder in (ours, theirs))
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=0, atol=atol, err_msg=name)


def steps_of(folder: Path) -> int:
    return int(load_file(folder / CHECKPOINT)["optimizer/00000"])


def test_two_processes_that_failed_and_resumed_end_with_the_weights_of_one(alone, start, tmp_path):
    def both(first: Path, second: Path, **environment: str) -> list["subprocess.Popen[str]"]:
        port = free_port()
        hosts = ["--distribute", "hosts", "--coordinator", f"127.0.0.1:{port}", "--processes", 2]
        return [
            start(*hosts, "--process", 0, "--epochs", EPOCHS, "--resume", out=first),
            start(
                *hosts, "--process", 1, "--epochs", EPOCHS, "--resume", out=second, **environment
            ),
        ]

    # Process 1 has no folder of the run, and fails in the third epoch.
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    zero, one = both(run, elsewhere, FAILS_AFTER=str(2 * STEPS + 2))
    _, err = end(zero, 3)
    assert "cannot go on together: process 1 has ended: an image of this process is" in err
    assert "Traceback" not in err
    _, err = end(one, 9)
    assert "error: an image of this process is broken" in err
    assert steps_of(run) == 2 * STEPS
    assert not (run / "model.json").exists()
    assert not list(elsewhere.iterdir())

    # It would train on from nothing beside the other's third epoch.
    for process in both(run, elsewhere):
        _, err = process.communicate()
        assert "do not all see the folder of the run" in err
        assert process.returncode in (2, 3)  # found out by itself, or told by the other
    assert steps_of(run) == 2 * STEPS

    zero, one = both(run, run)
    out, _ = end(zero)
    assert json.loads(out)["run"] == str(run)
    out, _ = end(one)
    assert json.loads(out) == {"process": 1}
    assert steps_of(run) == EPOCHS * STEPS
    same_state(run, alone, atol=1e-4)
    losses = [
        [epoch["loss"] for epoch in json.loads((folder / "history.json").read_text())]
        for folder in (run, alone)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_two_devices_of_one_process_end_with_the_weights_of_one(alone, start, tmp_path):
    flags = "--xla_force_host_platform_device_count=2"
    end(start("--distribute", "local", "--epochs", EPOCHS, out=tmp_path, XLA_FLAGS=flags))
    same_state(tmp_path, alone, atol=1e-4)
    assert steps_of(tmp_path) == EPOCHS * STEPS


def test_with_tensorflow_two_devices_see_the_batches_of_one(start, shared, zoo, tmp_path):
    """Of a network without batch norm, whose statistics would be those of each device's share."""
    cells = Cells.of(shared / "cells", seed=5)
    options = ["--model", "plain", "--epochs", 2, "--augment", "none", "--distribute", "local"]
    end(start(*options, out=tmp_path / "two", backend="tensorflow", LOGICAL_CPUS="2"))
    told = SETTINGS.model_copy(update={"model": "plain", "epochs": 2, "augment": "none"})
    train(told, cells.index, cells.split, cells.labels, tmp_path / "one")
    same_state(tmp_path / "two", tmp_path / "one", atol=1e-4)


@pytest.mark.parametrize("devices", [2, 3, 4])
def test_shares_are_equal_on_all_devices_and_nothing_comes_twice(devices):
    order, batch = np.random.default_rng(0).permutation(71), 12
    crews = [Crew(process=n, processes=2, devices=devices) for n in range(2)]
    if devices == 3:  # as many on every process, in truth
        crews = [Crew(process=0, processes=1, devices=3)]
    shares = [crew.share(order, batch) for crew in crews]
    assert len({len(share) for share in shares}) == 1
    taken = np.concatenate(shares)
    assert len(set(taken)) == len(taken)
    assert 71 - len(taken) == 71 % batch % devices
    assert set(order[: 71 // batch * batch]) <= set(taken)


def test_a_batch_that_cannot_be_dealt_is_refused(cells, zoo, tmp_path):
    with pytest.raises(UsageError, match="a batch of 8 cannot be split over 3") as caught:
        train(
            SETTINGS, cells.index, cells.split, cells.labels, tmp_path / "run",
            crew=Crew(devices=3),
        )  # fmt: skip
    assert caught.value.exit_code == 2
    assert "multiple of 3" in caught.value.fix
    assert not (tmp_path / "run").exists()


def test_hosts_need_jax():
    with (
        pytest.raises(UsageError, match="hosts does not work with Keras on tensorflow") as caught,
        gather(TrainRuntime(distribute="hosts")),
    ):
        pytest.fail("nobody is gathered")
    assert "KERAS_BACKEND=jax" in caught.value.fix


def test_without_more_devices_there_is_one_process_that_leads():
    with gather(TrainRuntime()) as crew:
        assert (crew.processes, crew.devices, crew.leads) == (1, 1, True)
