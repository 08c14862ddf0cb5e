"""What the tests of training share: the cells, the settings, a finished run."""

import socket
from dataclasses import dataclass
from pathlib import Path

from allnet_edge.data.choose import choose_labels
from allnet_edge.data.samples import LabelMap, SampleIndex
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import Split, make_split
from allnet_edge.models.storage.float_model import FloatModel
from allnet_edge.spec.training import TrainSettings

ZOO = Path(__file__).resolve().parents[2] / "zoo"
SETTINGS = TrainSettings(
    model="mini",
    input_size=32,
    epochs=3,
    batch_size=8,
    learning_rate=3e-3,
    augment="dihedral",
    seed=5,
)


@dataclass(frozen=True)
class Cells:
    root: Path
    index: SampleIndex
    split: Split
    labels: LabelMap

    @classmethod
    def of(cls, root: Path, seed: int = 0) -> "Cells":
        index = load_index(root)
        split = make_split(index, "patient", official=False, seed=seed)
        return cls(root, index, split, choose_labels(index, None))

    def paths(self, part: str) -> list[Path]:
        return [self.index.path(sample) for sample in self.split.samples(part, self.index)]

    def truth(self, part: str) -> list[int]:
        return [self.labels.index[s.label] for s in self.split.samples(part, self.index)]


@dataclass(frozen=True)
class Run:
    folder: Path
    model: FloatModel
    told: list[str]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def scalars_in(folder: Path) -> dict[tuple[str, int], float]:
    """Every scalar in event files: records of length, checksum, event, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in sorted(folder.glob("events.*")):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            for value in event.summary.value:
                assert (value.tag, event.step) not in found, "a figure stands twice"
                found[value.tag, event.step] = value.simple_value
    return found
