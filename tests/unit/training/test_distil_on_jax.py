"""Training with a teacher once more on JAX, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_loss_answers_hints_and_resume_on_jax(tmp_path):
    pytest.importorskip("jax")
    chosen = (
        "test_distil_loss or (as_if_nothing_had_happened and (dihedral or hints))"
        " or stored_answers or number_of_a_symmetry"
    )
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    files = [HERE / name for name in ("test_distil_loss.py", "test_distil_run.py")]
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
