"""Training on several accelerators: the batch is split, the weights are the same everywhere.

- JAX, ``local``: ``keras.distribution.DataParallel`` over the devices of this process.
- JAX, ``hosts``: the same over the devices of all processes, joined by ``jax.distributed``; every
  process feeds its own slice of each batch, process 0 writes the run. One step of a batch is the
  same step as on one device, batch norm included.
- TensorFlow, ``local``: ``tf.distribute.MirroredStrategy``; batch norm takes the statistics of each
  device's share. ``hosts`` is refused there, and both are on PyTorch: Keras 3 has no such engine.
"""

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import keras

from allnet_edge.data.batches import shard
from allnet_edge.data.pixels import Indices
from allnet_edge.errors import EnvironmentMismatch, UsageError
from allnet_edge.spec.training import Hosts, TrainRuntime


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

    def require_batch(self, batch_size: int) -> None:
        """Refuse a batch that cannot be dealt evenly; raises UsageError."""
        if batch_size % self.devices:
            raise UsageError(
                f"a batch of {batch_size} cannot be split over {self.devices} devices",
                fix=f"give --batch-size a multiple of {self.devices}",
            )


def gather(runtime: TrainRuntime) -> Crew:
    """Join the other devices and processes; waits for the processes.

    Raises:
        UsageError: The Keras backend has no engine for this.
        EnvironmentMismatch: The processes did not find each other.
    """
    if runtime.distribute == "none":
        return Crew()
    backend = keras.backend.backend()
    if backend == "jax":
        return _on_jax(runtime)
    if backend == "tensorflow" and runtime.distribute == "local":
        tensorflow = importlib.import_module("tensorflow")
        of_kind = tensorflow.config.list_logical_devices
        here = of_kind("GPU") or of_kind("CPU")
        strategy = tensorflow.distribute.MirroredStrategy([device.name for device in here])
        return Crew(devices=strategy.num_replicas_in_sync, together=strategy.scope)
    raise UsageError(
        f"--distribute {runtime.distribute} does not work with Keras on {backend}",
        fix="install jax and set KERAS_BACKEND=jax",
    )


def _on_jax(runtime: TrainRuntime) -> Crew:
    jax = importlib.import_module("jax")
    if runtime.distribute == "hosts":
        _join(runtime.hosts)
    spread = keras.distribution.DataParallel(
        devices=keras.distribution.list_devices(),
        auto_shard_dataset=False,  # each process loads its own slice
    )
    return Crew(
        process=jax.process_index(),
        processes=jax.process_count(),
        devices=jax.device_count(),
        together=spread.scope,
    )


def _join(hosts: Hosts) -> None:
    jax = importlib.import_module("jax")
    # Without this, processes on CPUs have no way to add up their gradients.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            coordinator_address=hosts.coordinator,
            num_processes=hosts.processes,
            process_id=hosts.process,
        )
    except (RuntimeError, ValueError) as error:
        raise EnvironmentMismatch(
            f"the processes did not find each other: {str(error).splitlines()[0]}",
            where=hosts.coordinator,
            fix="start every process with the same --coordinator HOST:PORT and --processes, each "
            "with its own --process, or run under Slurm or MPI",
        ) from error
