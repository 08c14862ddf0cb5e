"""Files of raw samples: every query comes back as it was."""

import json

import numpy as np
import pytest

from allnet_edge.errors import IntegrityError
from allnet_edge.measure.latency import LatencyRun
from allnet_edge.measure.queries import Spans
from allnet_edge.measure.raw_samples import RawRun, read_samples, write_samples


def run(n: int, at: np.ndarray | None = None) -> LatencyRun:
    samples = np.random.default_rng(n).gamma(3, 2, n)
    return LatencyRun("quick", samples, 1.0, 10, settled=True, other_load=None, at_ms=at)


def spans(n: int, *, device: bool) -> Spans:
    rng = np.random.default_rng(5)
    parts = rng.gamma(2, 1, (4, n))
    return Spans(parts[0], parts[1] if device else None, parts[2], parts[3])


@pytest.mark.parametrize("device", [True, False])
def test_written_and_read(tmp_path, device):
    at = np.cumsum(np.full(40, 2.5))
    written = {
        "inference": RawRun.of(run(90)),
        "end_to_end": RawRun.of(run(40, at), spans(40, device=device)),
    }
    write_samples(tmp_path / "a.jsonl", {"candidate": "a", "process": 2}, written)
    header, found = read_samples(tmp_path / "a.jsonl")
    assert header == {"candidate": "a", "process": 2}
    assert list(found) == ["inference", "end_to_end"]
    for name, raw in written.items():
        np.testing.assert_allclose(found[name].ms, raw.ms, atol=1e-6)
        np.testing.assert_allclose(found[name].at_ms, raw.at_ms, atol=1e-6)
        assert found[name].parts.keys() == raw.parts.keys()
    assert ("host_to_device" in found["end_to_end"].parts) is device
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 90 + 40
    assert json.loads(lines[-1]).keys() >= {"run", "at_ms", "ms", "preprocess_ms"}


def test_without_times_queries_follow_each_other(tmp_path):
    raw = RawRun.of(run(5))
    np.testing.assert_allclose(raw.at_ms, [0, *np.cumsum(run(5).samples_ms)[:-1]])


@pytest.mark.parametrize(
    "text", ["", "[]\n", '{"candidate": "a"}\n{"run": "x", "at_ms": 0, "m', '{}\n{"ms": 3}\n']
)
def test_a_damaged_file_is_refused(tmp_path, text):
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(IntegrityError, match="raw samples"):
        read_samples(tmp_path / "a.jsonl")


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(IntegrityError, match="cannot read the samples"):
        read_samples(tmp_path / "a.jsonl")
