"""Ranges on the disk: what a build keeps for those who quantize again."""

import json

import numpy as np
import pytest

from allnet_edge.convert.ranges import Range, Ranges, read_ranges, write_ranges
from allnet_edge.errors import IntegrityError

RANGES = Ranges(
    estimator="mse",
    by_tensor={"net/a:0": Range(-0.1, 1 / 3), "b;c": Range(0.0, 6.0)},
    channel_means={"net/a:0": np.array([0.25, 1 / 7])},
    bias_correction=True,
)


def test_what_is_read_is_what_was_written(tmp_path):
    write_ranges(tmp_path / "r.json", RANGES)
    found = read_ranges(tmp_path / "r.json")
    assert (found.estimator, found.by_tensor, found.bias_correction) == (
        RANGES.estimator, RANGES.by_tensor, True,
    )  # fmt: skip
    np.testing.assert_array_equal(found.channel_means["net/a:0"], RANGES.channel_means["net/a:0"])


@pytest.mark.parametrize("corrected", [True, False])
def test_means_are_used_where_the_build_chose_to(tmp_path, corrected):
    raw = Ranges("mse", RANGES.by_tensor, RANGES.channel_means, corrected)
    write_ranges(tmp_path / "r.json", raw)
    found = read_ranges(tmp_path / "r.json").means_to_use
    assert (found is not None) is corrected


@pytest.mark.parametrize(
    "change",
    [
        {"ranges": None}, {"ranges": {"a": [1]}}, {"ranges": {"a": ["x", 1]}},
        {"channel_means": 3}, {"channel_means": {"a": ["x"]}},
    ],
)  # fmt: skip
def test_another_file_is_refused(tmp_path, change):
    path = tmp_path / "r.json"
    write_ranges(path, RANGES)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(IntegrityError, match="no list of ranges") as caught:
        read_ranges(path)
    assert caught.value.exit_code == 7


@pytest.mark.parametrize("text", ["[]", "{}", "not json"])
def test_no_such_file_is_refused(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(IntegrityError):
        read_ranges(path)
