"""One inference at a time between two marks, for the counter that watches from outside.

    count_on_device.py BUNDLE

Prints the candidates in the order of the marks, as JSON; each has ``repeats`` pairs of marks, one
before and one after an inference.
"""

import gc
import json
import os
import sys
from pathlib import Path

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.engines.opening import open_candidate

WARM_UP = 12  # Python 3.11 rewrites its own byte code in the first calls
REPEATS = 5


def main(bundle_folder: str) -> None:
    bundle = Bundle.open(Path(bundle_folder))
    image = bundle.golden().images[:1]
    counted = []
    for candidate in bundle.manifest.candidates:
        with open_candidate(bundle, candidate, threads=1) as runner:
            for _ in range(WARM_UP):
                runner.infer(image)
            gc.collect()
            gc.disable()
            runner.infer(image)  # what the collector freed is taken again
            for _ in range(REPEATS):
                os.getppid()  # the mark
                runner.infer(image)
                os.getppid()
            gc.enable()
        counted.append(candidate.id)
    sys.stdout.write(json.dumps({"candidates": counted, "repeats": REPEATS}) + "\n")


main(*sys.argv[1:])
