"""What TensorRT complains about, kept so that an error can say it."""

from functools import cache
from types import ModuleType


class Complaints:
    """The errors that TensorRT has logged since ``clear``.

    Attributes:
        logger: To be handed to TensorRT.
    """

    def __init__(self, trt: ModuleType) -> None:
        self.texts: list[str] = []
        self.logger: object = _logger(trt, self.texts)

    def clear(self) -> None:
        """Forget them."""
        self.texts.clear()

    @property
    def first(self) -> str:
        """The first one, which is the cause of those after it."""
        return self.texts[0] if self.texts else "no reason given"


@cache
def complaints(trt: ModuleType) -> Complaints:
    """The one listener of a TensorRT module.

    TensorRT keeps the first logger that it was given for the life of the process and goes on
    writing to it: a second one would never be asked, and the first must not be freed.
    """
    return Complaints(trt)


def _logger(trt: ModuleType, texts: list[str]) -> object:
    """Its base class comes from ``trt``."""

    class Logger(trt.ILogger):  # type: ignore[misc,name-defined]  # a class of the given module
        def __init__(self) -> None:
            # Not super(): the binding needs the base's own initialiser called on the class.
            trt.ILogger.__init__(self)

        def log(self, severity: object, message: str) -> None:
            if severity in {trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR}:
                texts.append(message)

    return Logger()
