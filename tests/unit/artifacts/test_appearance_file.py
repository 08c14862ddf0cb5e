"""``appearance.json``: what is accepted, and how a bundle carries it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from allnet_edge.artifacts import files
from allnet_edge.artifacts.appearance import APPEARANCE, Appearance
from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.errors import IntegrityError


def plain(**changes: object) -> dict[str, object]:
    """The appearance of C-NMC-like cells as plain data."""
    covariance = [[0.01 if row == column else 0.0 for column in range(6)] for row in range(6)]
    return {
        "background": "black",
        "side": 450,
        "diameter_of": "cell",
        "diameter": [150.0, 220.0, 340.0],
        "n": 500,
        "fitted_on": 500,
        "colour_mean": [0.6, 0.9, 0.5, 0.1, 0.1, 0.1],
        "colour_covariance": covariance,
        "stain_limit": 4.5,
    } | changes


def test_a_bundle_gives_back_what_was_written(make_bundle: Callable[..., Path]) -> None:
    written = Appearance.model_validate(plain(um_per_px=0.07))
    content = files.canonical_json(written.model_dump(mode="json"))
    assert Bundle.open(make_bundle(more={APPEARANCE: content})).appearance == written


def test_a_bundle_without_it_opens(make_bundle: Callable[..., Path]) -> None:
    assert Bundle.open(make_bundle()).appearance is None


def test_a_changed_file_is_found(make_bundle: Callable[..., Path]) -> None:
    root = make_bundle(more={APPEARANCE: files.canonical_json(plain())})
    (root / APPEARANCE).write_bytes(files.canonical_json(plain(stain_limit=9.0)))
    with pytest.raises(IntegrityError, match=r"appearance\.json has changed"):
        Bundle.open(root)


def test_a_damaged_one_is_refused_with_its_key(make_bundle: Callable[..., Path]) -> None:
    content = json.dumps(plain(background="white")).encode()
    with pytest.raises(IntegrityError, match="background"):
        make_bundle(more={APPEARANCE: content})


def test_what_is_not_known_may_be_left_open() -> None:
    known = Appearance.model_validate(plain(diameter=None, stain_limit=None))
    assert (known.um_per_px, known.diameter, known.stain_limit) == (None, None, None)
    assert (known.sharpness_limit, known.dark_limit, known.bright_limit) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"diameter": [200.0, 150.0, 300.0]}, "in this order"),
        ({"diameter": [-1.0, 150.0, 300.0]}, "greater than 0"),
        ({"um_per_px": 0}, "greater than 0"),
        ({"stain_limit": -1}, "greater than 0"),
        ({"dark_limit": 1.5}, "less than or equal to 1"),
        ({"colour_mean": [0.0] * 5}, "Field required"),
        ({"colour_mean": [float("nan")] * 6}, "finite"),
        ({"colour_covariance": [[0.0] * 6] * 6}, "positive definite"),
        ({"colour_covariance": [[1.0] * 6] * 6}, "positive definite"),
        ({"colour": "red"}, "Extra inputs"),
        ({"schema_version": 2}, "Input should be 1"),
    ],
)
def test_nonsense_is_refused(change: dict[str, object], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Appearance.model_validate(plain(**change))


def test_a_lopsided_covariance_is_refused() -> None:
    rows = plain()["colour_covariance"]
    rows[0][1] = 0.004
    with pytest.raises(ValidationError, match="not symmetric"):
        Appearance.model_validate(plain(colour_covariance=rows))
