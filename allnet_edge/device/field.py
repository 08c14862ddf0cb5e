"""White cells in a field of view: the entry that others call; see ``segmentation.finding``."""

from allnet_edge.segmentation.finding import find_cells

__all__ = ["find_cells"]
