"""One training run in a process of its own, with settings as JSON.

``python train_cells.py DATA OUT SETTINGS [resume] [kill=EPOCH:BATCH]``: with ``kill`` the process
kills itself (SIGKILL) as soon as that batch of that epoch is done.
"""

import os
import signal
import sys
from pathlib import Path

from allnet_edge import models
from allnet_edge.spec.training import TrainSettings
from allnet_edge.training.backend import choose_backend

models.__path__ = [*models.__path__, str(Path(__file__).resolve().parents[2] / "zoo")]


def main(data: str, out: str, settings: str, *how: str) -> None:
    choose_backend()
    from training_support import Cells

    from allnet_edge.training.fit import train

    fatal = next((one.removeprefix("kill=").split(":") for one in how if "kill=" in one), None)

    def listen(what: str, done: int, total: int) -> None:
        if fatal and what.startswith(f"epoch {fatal[0]}/") and done == int(fatal[1]):
            os.kill(os.getpid(), signal.SIGKILL)

    cells = Cells.of(Path(data))
    train(
        TrainSettings.model_validate_json(settings),
        cells.index,
        cells.split,
        cells.labels,
        Path(out),
        resume="resume" in how,
        progress=listen,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
