import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from allnet_edge.data.phantom.cell import Canvas, render
from allnet_edge.data.phantom.population import draw_cell, draw_patient, stream

CANVASES = {size: Canvas.of(size) for size in (32, 47, 96)}

seeds = st.integers(0, 2**70)
numbers = st.integers(0, 10_000)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, number=numbers, i=numbers, size=st.sampled_from(sorted(CANVASES)))
def test_any_cell_of_any_population_lies_whole_on_black(
    seed: int, number: int, i: int, size: int
) -> None:
    def draw() -> np.ndarray:
        rng = stream(seed, number, i)
        traits, optics = draw_cell(draw_patient(seed, number), rng)
        return render(traits, optics, CANVASES[size], rng)

    image = draw()
    inside = image.max(axis=2) > 0
    assert image.shape == (size, size, 3)
    assert 0.04 < inside.mean() < 0.45
    assert (image[inside] > 0).all()
    rows, columns = np.nonzero(inside)
    assert rows.min() > 0
    assert columns.min() > 0
    assert max(rows.max(), columns.max()) < size - 1
    np.testing.assert_array_equal(image, draw())


@given(seed=seeds, number=numbers)
def test_class_and_fold_of_a_patient_do_not_depend_on_the_seed(seed: int, number: int) -> None:
    one, other = draw_patient(seed, number), draw_patient(seed + 1, number)
    assert (one.label, one.name, one.fold) == (other.label, other.name, other.fold)
    assert one.optics != other.optics
