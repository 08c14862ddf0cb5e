"""A real OpenSSH server on loopback, as the current user."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from remote_desk import MIB, Desk
from ssh_server import SSHD, SshServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    if SSHD is None:
        pytest.skip("no sshd here (Debian: openssh-server)")
    made = SshServer(tmp_path_factory.mktemp("sshd"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def desk(server: SshServer, tmp_path: Path) -> Iterator[Desk]:
    yield Desk(server, tmp_path / "there")
    server.configure()
    server.trust(server.folder / "host.pub")


@pytest.fixture
def large(make_bundle: Callable[..., Path], model_files) -> Path:
    """A bundle with 24 MiB that no compression makes smaller."""
    noise = np.random.default_rng(1).bytes(24 * MIB)
    forms = {
        "model/model.int8.tflite": "litert.int8.1",
        "model/model.fp32.tflite": "litert.fp32.1",
        "model/model.fp32.onnx": "onnx.uint8.1",
    }
    contents = {file: model_files[form].path for file, form in forms.items()}
    return make_bundle(contents={**contents, "reports/noise.bin": noise})
