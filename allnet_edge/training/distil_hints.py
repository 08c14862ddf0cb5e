"""Which maps of a teacher a student is shown, and how far its own are from them."""

import math

import keras

from allnet_edge.errors import RecipeError
from allnet_edge.spec.base import known_name
from allnet_edge.spec.training import Distil, Hint
from allnet_edge.training.teacher import resized

_MOST = 3


def choose_hints(told: Distil, student: keras.Model, teacher: keras.Model) -> tuple[Hint, ...]:
    """The pairs of layers to compare; none without hints.

    Raises:
        UnknownNameError: A network has no such layer.
        RecipeError: A layer's output is no map, or ``auto`` finds no pair.
    """
    if told.hints == "none":
        return ()
    if told.hints == "auto":
        return _auto(student, teacher)
    for hint in told.hints:
        _require_map(student, hint.student)
        _require_map(teacher, hint.teacher)
    return told.hints


class HintError(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Distance of the student's map from the teacher's, behind a 1x1 convolution of its own.

    The convolution brings the student's channels to the teacher's and is thrown away after the
    training (Romero et al. 2014, arXiv 1412.6550, whose regressor is larger). The teacher's map is
    brought to the student's side.

    Args:
        hint: The pair.
        channels: Of the teacher's map.
    """

    def __init__(self, hint: Hint, channels: int) -> None:
        super().__init__(name=f"hint_{hint.student}_from_{hint.teacher}", dtype="float32")
        self.project = keras.layers.Conv2D(channels, 1, dtype="float32", name="project")

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        """Make the convolution for the student's channels."""
        self.project.build(shapes[0])

    def call(self, maps: list[keras.KerasTensor]) -> keras.KerasTensor:
        """Mean squared error over the teacher's mean square, float32 [n, 1]."""
        ops = keras.ops
        own, theirs = (ops.cast(one, "float32") for one in maps)
        theirs = resized(theirs, own.shape[1])
        squares = ops.mean(ops.square(self.project(own) - theirs), axis=(1, 2, 3))
        size = ops.mean(ops.square(theirs))
        return (squares / ops.maximum(size, 1e-12))[:, None]


def _auto(student: keras.Model, teacher: keras.Model) -> tuple[Hint, ...]:
    own, theirs = _deepest(student), _deepest(teacher)
    shared = sorted(own.keys() & theirs.keys())[-_MOST:]
    found = tuple(Hint(student=own[level], teacher=theirs[level]) for level in shared)
    if not found:
        raise RecipeError(
            f"no map of {student.name} has the place of one of {teacher.name}",
            fix="name the pairs: --hints STUDENT_LAYER=TEACHER_LAYER,...",
        )
    return found


def _deepest(network: keras.Model) -> dict[int, str]:
    """By level the last map of that share of the input (1: half, 2: a quarter, ...).

    Maps of one pixel say too little, those of the whole input are hardly computed yet.
    """
    found: dict[int, str] = {}
    for layer in network.layers:
        shape = layer.output.shape
        padded = isinstance(layer, keras.layers.ZeroPadding2D)
        if len(shape) == 4 and shape[1] > 1 and not padded:
            found[round(math.log2(network.inputs[0].shape[1] / shape[1]))] = layer.name
    return {level: name for level, name in found.items() if level > 0}


def _require_map(network: keras.Model, name: str) -> None:
    known_name(f"layer of {network.name}", name, [layer.name for layer in network.layers])
    shape = network.get_layer(name).output.shape
    if len(shape) != 4:
        raise RecipeError(
            f"hints: '{name}' of {network.name} puts out {len(shape) - 1} dimensions, no map",
            fix="name a layer before the pooling or flattening of the head",
        )
