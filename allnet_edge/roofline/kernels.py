"""What a fused network runs: kernels, each with its work."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["conv", "depthwise", "matmul", "pointwise", "copy", "pool", "other"]
Arithmetic = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True, slots=True)
class Product:
    """A convolution or matrix product, as ``groups`` products (rows x depth) (depth x columns).

    For a convolution of batch 1 rows are places of the output, columns its channels, depth the
    channels and the window of the input.

    Attributes:
        window: Places of a convolution's window (9 for a 3x3); 1 for a matrix product.
        stride: Of a convolution.
    """

    rows: int
    columns: int
    depth: int
    groups: int = 1
    window: int = 1
    stride: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.rows * self.columns * self.depth * self.groups


@dataclass(slots=True)
class Kernel:
    """One launch on the GPU.

    Attributes:
        operators: Names of the nodes that it computes.
        reads: Tensors that it reads, weights apart.
        writes: The tensor that it writes.
        from_int8: Its data come from a DequantizeLinear.
        read_bytes, weight_bytes, written_bytes: What it moves.
    """

    kind: Kind
    operators: list[str]
    reads: list[str]
    writes: str
    arithmetic: Arithmetic = "fp32"
    product: Product | None = None
    weight_elements: int = 0
    from_int8: bool = False
    read_bytes: float = 0.0
    weight_bytes: float = 0.0
    written_bytes: float = 0.0
    residual: bool = field(default=False, repr=False)
    activated: bool = field(default=False, repr=False)

    @property
    def bytes(self) -> float:
        """All bytes moved."""
        return self.read_bytes + self.weight_bytes + self.written_bytes

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and matrix products."""
        return self.product.macs if self.product else 0
