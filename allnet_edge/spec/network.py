"""What goes into a network and what comes out of it."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field, PositiveInt, model_serializer, model_validator

from allnet_edge.spec.base import Frozen


class Preprocess(Frozen):
    """How an image file becomes the uint8 tensor that every runtime is handed.

    The tensor is NHWC, RGB, uint8 in 0..255. Standardisation, ``(x - mean) / sd`` in units of
    0..255, lies INSIDE the deployed graph; it is repeated here only so that it can be read.

    Attributes:
        crop: Side of the centre crop in pixels, taken before the resize; None keeps the image.
        size: Side of the square tensor in pixels.
        mean: One value for all channels, or one a channel.
        sd: Like ``mean``.
    """

    colour: Literal["RGB"] = "RGB"
    crop: int | None = Field(default=None, ge=1)
    size: int = Field(ge=32, le=1024)
    resize: Literal["bilinear"] = "bilinear"
    mean: tuple[float, ...] = (0.0,)
    sd: tuple[float, ...] = (1.0,)
    layout: Literal["NHWC"] = "NHWC"
    dtype: Literal["uint8"] = "uint8"

    @model_validator(mode="after")
    def _channels(self) -> "Preprocess":
        if len(self.mean) != len(self.sd) or len(self.mean) not in (1, 3):
            raise ValueError("mean and sd need one value each, or three each")
        if min(self.sd) <= 0:
            raise ValueError("sd must be positive")
        return self


class NetworkSpec(Frozen):
    """A network of the zoo with everything that fixes its shape.

    Attributes:
        network: Name of a module in ``allnet_edge.models``.
        classes: Class names; two make a single sigmoid unit whose output is the probability of
            ``classes[1]``, the positive class; more make a softmax.
        width: Multiplier of every channel count (1.0 is the published network).
        bn_momentum: Of the batch-norm moving averages. Keras' 0.99 lags behind on short runs, so
            that evaluation collapses; training sets it from the number of steps.
        channels: Filters or units of the layers that were pruned, by the layer's name; every other
            layer has as many as the network's builder gives it. It is written only where it is
            not empty, so that a network that was not pruned is described as before.
    """

    network: str
    preprocess: Preprocess
    classes: tuple[str, ...] = Field(min_length=2)
    width: float = Field(default=1.0, gt=0, le=2)
    bn_momentum: float = Field(default=0.99, ge=0.5, lt=1)
    channels: dict[str, PositiveInt] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_empty_channels(
        self, write: Callable[["NetworkSpec"], dict[str, object]]
    ) -> dict[str, object]:
        written = write(self)
        if not self.channels:
            written.pop("channels", None)
        return written

    @property
    def input_size(self) -> int:
        """Side of the square input in pixels."""
        return self.preprocess.size

    @property
    def units(self) -> int:
        """Outputs: 1 for two classes, else one a class."""
        return 1 if len(self.classes) == 2 else len(self.classes)
