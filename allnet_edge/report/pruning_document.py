"""The part of a report about pruning: what was removed, and what fine-tuning gave back."""

from typing import Annotated

from pydantic import ConfigDict, Field

from allnet_edge.spec.base import Frozen

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Part(Frozen):
    model_config = ConfigDict(allow_inf_nan=False)


class Narrowed(_Part):
    """A layer that lost channels: how many it had, and has."""

    layer: str
    before: Count
    after: Count


class Smaller(_Part):
    """What the removal of channels left.

    Attributes:
        macs, parameters: Before and after.
        layers: Those that lost channels, in the network's order.
        left: Layers that had to stay whole, each with the reason.
    """

    macs: tuple[Count, Count]
    parameters: tuple[Count, Count]
    layers: tuple[Narrowed, ...]
    left: dict[str, str] = Field(default_factory=dict)


class Agreement(_Part):
    """The network on validation cells, against the unpruned one.

    Attributes:
        when: ``before fine-tuning``, or the epoch after which it was asked.
        agreement: Share that the unpruned network calls the same.
        accuracy: Share that is called as labelled.
        mean_difference: Mean absolute difference of the probabilities.
    """

    when: str
    agreement: Share
    accuracy: Share
    mean_difference: Share


class Pruning(_Part):
    """All of it.

    Attributes:
        kind: As the recipe has it: ``2:4``, ``unstructured`` or ``channels``.
        zeros: Share of zeros in all kernels together.
        kernels_2_4: Kernels all of whose blocks are valid 2:4, and those that could be.
        smaller: None where no channel was removed.
        agreements: In the order of time; empty without validation cells.
    """

    kind: str
    zeros: Share
    kernels_2_4: tuple[Count, Count]
    smaller: Smaller | None
    agreements: tuple[Agreement, ...]
