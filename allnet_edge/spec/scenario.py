"""How queries arrive while something is measured."""

from typing import Literal

Scenario = Literal["single-stream", "offline", "camera"]
"""One after the other on completion; a whole slide at once; frames at a fixed rate."""
