"""The fitted constants of the model and the errors it made where it was tested."""

import json
from functools import cache
from importlib import resources

from pydantic import Field

from allnet_edge.spec.base import Frozen, parse

FILE = "constants.json"
"""Beside this module; written by ``python benchmarks/latency_model.py``."""


class Constants(Frozen):
    """All that was fitted.

    Attributes:
        efficiency: Share of the peak that a well-filled kernel reaches.
        winograd_gain: How much faster a 3x3 of stride 1 is on CUDA cores than its multiplications.
        launch_microseconds_ghz: Time that every kernel takes beside its work, times the GPU's GHz.
        host_milliseconds: What a Python harness adds to each inference; no part of an estimate,
            but of most published times.
    """

    efficiency: float = Field(gt=0, le=1)
    winograd_gain: float = Field(ge=1, le=4)
    launch_microseconds_ghz: float = Field(gt=0)
    host_milliseconds: float = Field(ge=0)


class Error(Frozen):
    """Absolute relative error on published times of boards that the fit had not seen.

    Attributes:
        over: Which published times.
        n: How many.
        median, p90: As shares of the published time.
    """

    over: str
    n: int = Field(gt=0)
    median: float = Field(ge=0)
    p90: float = Field(ge=0)


class Fitted(Frozen):
    """The file.

    Attributes:
        source_sha256: Of published.toml, from which all this was fitted.
        errors: Leave-one-board-out.
    """

    fitted_by: str
    source_sha256: str
    constants: Constants
    errors: dict[str, Error]


@cache
def fitted() -> Fitted:
    """The constants that ship with the package."""
    text = (resources.files(__package__) / FILE).read_text(encoding="utf-8")
    return parse(json.loads(text), Fitted, where=FILE)
