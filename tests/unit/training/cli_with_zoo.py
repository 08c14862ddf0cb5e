"""``allnet-edge`` in a process of its own, with the networks of the tests beside the package's.

Environment: ``FAILS_AFTER=N`` lets it fail on its data after N training steps; ``LOGICAL_CPUS=N``
gives TensorFlow so many devices. Which engines were imported is told as the last line of stderr.
"""

import importlib
import json
import os
import sys
from pathlib import Path

from allnet_edge import models
from allnet_edge.cli.main import main
from allnet_edge.errors import DataError
from allnet_edge.training.backend import choose_backend


def fail_after(steps: int) -> None:
    from allnet_edge.training import fit

    step_ended, seen = fit._Watcher.on_train_batch_end, []

    def on_train_batch_end(self, batch, logs=None):
        step_ended(self, batch, logs)
        seen.append(batch)
        if len(seen) == steps:
            raise DataError("an image of this process is broken")

    fit._Watcher.on_train_batch_end = on_train_batch_end


if __name__ == "__main__":
    models.__path__ = [*models.__path__, str(Path(__file__).resolve().parents[2] / "zoo")]
    choose_backend()
    if "LOGICAL_CPUS" in os.environ:
        config = importlib.import_module("tensorflow").config
        one = config.LogicalDeviceConfiguration()
        config.set_logical_device_configuration(
            config.list_physical_devices("CPU")[0], [one] * int(os.environ["LOGICAL_CPUS"])
        )
    if "FAILS_AFTER" in os.environ:
        fail_after(int(os.environ["FAILS_AFTER"]))
    code = main(sys.argv[1:])
    loaded = {"jax", "tensorflow", "tf_keras", "torch"} & sys.modules.keys()
    print(json.dumps(sorted(loaded)), file=sys.stderr)  # noqa: T201 - the result
    sys.exit(code)
