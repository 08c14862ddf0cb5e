"""Phantom cells: synthetic, seeded images in the manner of C-NMC; no patient stands behind them.

They exercise the whole road from training to a device where real images may not go.
Research use only: a network trained on phantoms knows nothing about leukemia.
"""

from allnet_edge.data.phantom.write import Phantoms, generate, write_dataset

__all__ = ["Phantoms", "generate", "write_dataset"]
