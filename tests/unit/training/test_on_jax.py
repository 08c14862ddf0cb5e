"""The tests of what runs inside the training step, once more on JAX, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_augmentation_optimiser_and_resume_on_jax(tmp_path):
    pytest.importorskip("jax")
    chosen = "test_augment or test_optimiser or (draws_the_augmentation and affine)"
    # The three trainings compile the same steps.
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    files = [HERE / name for name in ("test_augment.py", "test_optimiser.py", "test_resume.py")]
    process = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-k", chosen, *map(str, files)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": "jax"} | cache,
    )
    assert process.returncode == 0, process.stdout
    assert " passed" in process.stdout
    assert "skipped" not in process.stdout
