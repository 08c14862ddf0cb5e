"""Fixtures that every test may use."""

from pathlib import Path

import pytest

pytest_plugins = ["device_models", "fake_gpu", "judged_bundle", "served"]

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images; skips where it is absent, since they may not be redistributed."""
    if not SHARED.is_dir():
        pytest.skip("real images are absent (shared/data beside the checkout)")
    return SHARED
