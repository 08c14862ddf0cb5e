"""A desk at work and a real server in front of it, for the tests of the service."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from device_models import SIZE, Weights, cell_images, onnx_model
from phantom_fields import phantom_field
from PIL import Image

HEADERS = {"Content-Type": "image/png"}


@dataclass(frozen=True)
class Served:
    """Attributes:
    client: Talks to the server.
    url: Where it listens.
    desk: Behind it.
    end: Lets the server end in order.
    """

    client: httpx.Client
    url: str
    desk: object
    end: Callable[[], None]

    def start_slide(self, name: str = "a slide") -> int:
        answer = self.client.post("/api/v1/slides", json={"name": name})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def send(self, data: bytes, **headers: str) -> httpx.Response:
        return self.client.post("/api/v1/fields", content=data, headers={**HEADERS, **headers})


def field_file(seed: int = 1, cells: int = 3, form: str = "PNG", **options: object) -> bytes:
    """A phantom field as an image file."""
    stream = io.BytesIO()
    Image.fromarray(phantom_field(seed, cells)[0]).save(stream, form, **options)
    return stream.getvalue()


def field_folder(folder: Path, fields: int, cells: int = 3) -> Path:
    """Phantom fields, for a simulated camera."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(fields):
        (folder / f"{number:03d}.png").write_bytes(field_file(number, cells))
    return folder


def wait_for(seen: Callable[[], object], seconds: float = 30.0) -> object:
    """Ask until the answer is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = seen()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


@contextmanager
def serving(
    bundle: Path, store: Path, *, settings: object = None, ready: bool = True, **options: object
) -> Iterator[Served]:
    """A real server on a free port, in threads of this process."""
    from allnet_edge.device.service.server import address, bound, made
    from allnet_edge.device.service.settings import ServiceSettings
    from allnet_edge.device.service.workbench import WorkOptions

    chosen = settings or ServiceSettings(port=0)
    listener = bound(chosen)
    url = address(listener).rstrip("/")
    desk, server = made(WorkOptions(bundle=bundle, store=store, **options), chosen)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    desk.start()
    thread.start()
    headers = {"Authorization": f"Bearer {chosen.token}"} if chosen.token else {}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            if ready:
                wait_for(lambda: client.get("/api/v1/status").json()["state"] == "ready")
            yield Served(client, url, desk, server.end)
    finally:
        server.end()
        thread.join(30)
        try:
            desk.close()
        finally:
            listener.close()
        assert not thread.is_alive()


def small_bundle(folder: Path, **changes: object) -> Path:
    """A bundle of one small network in two files, made without TensorFlow."""
    from allnet_edge.artifacts.bundle_writer import write_bundle
    from allnet_edge.artifacts.golden import Golden
    from allnet_edge.artifacts.manifest import Candidate, DataOrigin, Source, Threshold
    from allnet_edge.engines import open_runner
    from allnet_edge.spec.network import Preprocess

    folder.mkdir(parents=True)
    weights = Weights.random(1)
    paths = {
        "onnx.fp32": onnx_model(weights, folder / "uint8.onnx"),
        "onnx.float": onnx_model(weights, folder / "float.onnx", "FLOAT"),
    }
    images, outputs = cell_images(4), {}
    for name, path in paths.items():
        with open_runner(path, threads=1) as runner:
            outputs[name] = runner.infer(images)
    arguments: dict[str, object] = {
        "name": "small",
        "model": "allnet",
        "target": "x86",
        "source": Source(float_sha256="ab" * 32, build_key="cd" * 32),
        "classes": ("hem", "all"),
        "candidates": tuple(
            Candidate(
                id=name, engine="onnx", precision="fp32", file=f"model/{name}.onnx",
                verdict="pass", chosen=name == "onnx.fp32", why="a test",
            )
            for name in paths
        ),
        "thresholds": {name: Threshold(threshold=0.5, fitted_on="validation") for name in paths},
        "preprocess": Preprocess(size=SIZE),
        "golden": Golden(images, outputs, dict.fromkeys(paths, 1e-5)),
        "contents": {f"model/{name}.onnx": path for name, path in paths.items()}
        | {"docs/model_card.md": b"# Research use only\n"},
        "created": "2026-01-02T03:04:05Z",
        "data": DataOrigin(layout="phantom", split="patient", leaking=False),
    }  # fmt: skip
    write_bundle(folder / "bundle", **(arguments | changes))
    return folder / "bundle"


@pytest.fixture(scope="module")
def served_bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small bundle for all tests of a file; nobody writes into it."""
    folder = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLNET_EDGE_KEY", str(folder / "signing.key"))
        yield small_bundle(folder / "made")


@pytest.fixture(scope="module")
def served(served_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server without a camera, for all tests of a file."""
    with serving(served_bundle, tmp_path_factory.mktemp("work") / "store") as running:
        yield running
