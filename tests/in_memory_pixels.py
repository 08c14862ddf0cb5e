"""A pixel source without files, for tests of what reads one."""

from dataclasses import dataclass

from allnet_edge.data.pixels import Indices, Pixels, PixelSource, as_indices


@dataclass(frozen=True)
class InMemory(PixelSource):
    """A source whose rows lie in memory, uint8 [n, size, size, 3]."""

    images: Pixels

    @property
    def size(self) -> int:
        return int(self.images.shape[1])

    def __len__(self) -> int:
        return len(self.images)

    def begin(self, indices: Indices) -> "InMemory.Taken":
        return InMemory.Taken(self.images[as_indices(indices, len(self))])

    def close(self) -> None:
        """Nothing is held."""

    @dataclass(frozen=True)
    class Taken:
        pixels: Pixels

        def result(self) -> Pixels:
            return self.pixels

        def cancel(self) -> None:
            """It is there already."""
