"""kill -9 of a process that stores: what it acknowledged is there."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from allnet_edge.device.store.store import Store

SCRIPT = Path(__file__).resolve().parents[4] / "benchmarks" / "store_kill.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("store_kill", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_three_kills_of_one_store_lose_nothing(script: ModuleType, tmp_path: Path) -> None:
    for seconds in (0.0, 0.37, 1.13):
        seen = script.trial(tmp_path, seconds)
        assert seen["acknowledged_cells"] > 0
        assert seen["lost"] == 0
        assert 0 <= seen["fields_stored_and_not_yet_acknowledged"] <= 1
        assert seen["slide"] == "interrupted"
    with Store.open(tmp_path) as store:
        kinds = [line.kind for line in store.log_entries(1000)]
        assert [one.state for one in store.slides()] == ["interrupted"] * 3
        assert kinds.count("slide interrupted") == 3
        assert "closed" in kinds  # by this process, never by a killed one


def test_a_loss_would_be_seen(script: ModuleType, tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        slide = store.start_slide(script.new_slide("short"))
        ids = store.add_field(slide, script.field(3))
        told = {"slide": slide, "number": 3, "cells": ids}
        assert script._lost(store, told) == 0
        assert script._lost(store, {**told, "number": 4}) == len(ids)
        assert script._lost(store, {**told, "cells": [*ids[:-1], ids[-1] + 1]}) == 1
