"""One runtime each behind one protocol; a runtime is imported only when a model asks for it."""

from allnet_edge.engines.opening import open_runner

__all__ = ["open_runner"]
