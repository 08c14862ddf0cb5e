"""Training on several accelerators: the batch is split, the weights are the same everywhere.

- JAX, ``local``: ``keras.distribution.DataParallel`` over the devices of this process.
- JAX, ``hosts``: the same over the devices of all processes, joined by ``jax.distributed`` once
  they have met; every process feeds its own slice of each batch, process 0 writes the run. One step
  of a batch is the same step as on one device, batch norm included.
- TensorFlow, ``local``: ``tf.distribute.MirroredStrategy``; batch norm takes the statistics of each
  device's share. ``hosts`` is refused there, and both are on PyTorch: Keras 3 has no such engine.
"""

import ctypes
import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import keras
import numpy as np

from allnet_edge.data.batches import shard
from allnet_edge.data.pixels import Indices
from allnet_edge.errors import EnvironmentMismatch, UsageError, first_line
from allnet_edge.spec.training import TrainRuntime
from allnet_edge.training.meeting import meet


@dataclass(frozen=True, slots=True)
class Crew:
    """The processes and devices that train together.

    Attributes:
        process: This one, from 0.
        processes: How many.
        devices: Of all processes; a batch has to be a multiple of it.
        together: Inside it the shared variables are made and the shared steps run.
    """

    process: int = 0
    processes: int = 1
    devices: int = 1
    together: Callable[[], AbstractContextManager[object]] = field(default=nullcontext)

    @property
    def leads(self) -> bool:
        """Whether this process writes the run."""
        return self.process == 0

    def share(self, order: Indices, batch_size: int) -> Indices:
        """This process' slice of each batch of a pass; an uneven last batch is cut."""
        uneven = len(order) % batch_size % self.devices
        return shard(order[: len(order) - uneven], batch_size, self.process, self.processes)

    def require_same(self, told: str) -> None:
        """Refuse processes that were told different things, or that see different files.

        Args:
            told: Has to be the same text in all of them.

        Raises:
            UsageError: It is not.
        """
        check = importlib.import_module("jax.experimental.multihost_utils").assert_equal
        try:
            with self.together():
                check(np.frombuffer(hashlib.sha256(told.encode()).digest(), np.uint8))
        except AssertionError as error:
            raise UsageError(
                "the processes were started with different settings or data, or do not all see "
                "the folder of the run",
                fix="start all with the same command but for --process, and give -o a folder that "
                "they share",
            ) from error

    def require_batch(self, batch_size: int) -> None:
        """Refuse a batch that cannot be dealt evenly; raises UsageError."""
        if batch_size % self.devices:
            raise UsageError(
                f"a batch of {batch_size} cannot be split over {self.devices} devices",
                fix=f"give --batch-size a multiple of {self.devices}",
            )


@contextmanager
def gather(runtime: TrainRuntime) -> Iterator[Crew]:
    """Join the other devices and processes for as long as the run lasts.

    Raises:
        UsageError: The Keras backend has no engine for this, or the processes do not fit.
        EnvironmentMismatch: The processes did not find each other.
    """
    backend = keras.backend.backend()
    if runtime.distribute == "none":
        yield Crew()
    elif backend == "jax" and runtime.distribute == "local":
        yield _spread(nullcontext)
    elif backend == "jax":
        with _stdout_kept_clean(), _joined(runtime) as together:
            yield _spread(together)
    elif backend == "tensorflow" and runtime.distribute == "local":
        tensorflow = importlib.import_module("tensorflow")
        of_kind = tensorflow.config.list_logical_devices
        here = of_kind("GPU") or of_kind("CPU")
        strategy = tensorflow.distribute.MirroredStrategy([device.name for device in here])
        yield Crew(devices=strategy.num_replicas_in_sync, together=strategy.scope)
    else:
        raise UsageError(
            f"--distribute {runtime.distribute} does not work with Keras on {backend}",
            fix="install jax and set KERAS_BACKEND=jax",
        )


def _spread(joined: Callable[[], AbstractContextManager[object]]) -> Crew:
    """Every device of every process, on JAX."""
    jax = importlib.import_module("jax")
    spread = keras.distribution.DataParallel(
        devices=keras.distribution.list_devices(),
        auto_shard_dataset=False,  # each process loads its own slice
    )

    @contextmanager
    def together() -> Iterator[None]:
        with joined(), spread.scope():
            yield

    return Crew(
        process=jax.process_index(),
        processes=jax.process_count(),
        devices=jax.device_count(),
        together=together,
    )


@contextmanager
def _stdout_kept_clean() -> Iterator[None]:
    """Gloo greets its peers on C's standard output, where only the result belongs."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)
        os.dup2(ours, 1)
        os.close(ours)


@contextmanager
def _joined(
    runtime: TrainRuntime,
) -> Iterator[Callable[[], AbstractContextManager[object]]]:
    """What to wrap around the steps that all processes take together."""
    jax = importlib.import_module("jax")
    # Without this, processes on CPUs have no way to add up their gradients.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    hosts = runtime.hosts
    if hosts.coordinator is None:
        try:
            jax.distributed.initialize()
        except (RuntimeError, ValueError) as error:
            raise EnvironmentMismatch(
                f"no cluster was found to train on: {first_line(error)}",
                fix="give --coordinator HOST:PORT, --processes and --process, or run under Slurm "
                "or MPI",
            ) from error
        yield nullcontext
        return
    if not hasattr(jax.config, "jax_enable_recoverability"):
        raise EnvironmentMismatch(
            f"jax {jax.__version__} cannot tell that one of several processes has ended",
            fix="install a newer jax",
        )
    # Else JAX aborts whoever is left when one process ends, and leaves no word of why.
    jax.config.update("jax_enable_recoverability", True)
    meeting = meet(hosts)
    try:
        jax.distributed.initialize(
            coordinator_address=f"{hosts.coordinator.rpartition(':')[0]}:{meeting.engine_port}",
            num_processes=hosts.processes,
            process_id=hosts.process,
        )
        yield lambda: meeting.shared_step(jax.errors.JaxRuntimeError)
    except BaseException as error:
        meeting.leave(error)
        raise
    if hosts.process != 0:  # process 0 is the coordinator of the others
        jax.distributed.shutdown()
    meeting.leave(None)
