from report_example import example

from allnet_edge.report.document import Flip
from allnet_edge.report.flipped import MOST_SHOWN, class_names, flipped_groups


def flip(id_, label, candidate, direction, *, edge_score=0.4):
    return Flip(
        id=id_,
        label=label,
        float_score=0.6,
        edge_score=edge_score,
        candidate=candidate,
        direction=direction,
    )


def groups(*flips):
    return flipped_groups(example(flips=flips))


def test_a_cell_is_shown_once_with_all_its_candidates():
    missed, _ = groups(
        flip("a", "ALL", "tflite-int8", "positive_to_negative", edge_score=0.1),
        flip("a", "ALL", "onnx-int8", "positive_to_negative", edge_score=0.4),
    )
    (cell,) = missed.cells
    assert cell.edge_scores == (("onnx-int8", 0.4), ("tflite-int8", 0.1))  # the chosen one first


def test_harmful_cells_come_first():
    missed, alarms = groups(
        flip("a", "HEM", "onnx-int8", "positive_to_negative"),
        flip("b", "ALL", "tflite-int8", "positive_to_negative"),
        flip("c", "ALL", "onnx-int8", "positive_to_negative"),
        flip("d", "HEM", "onnx-int8", "negative_to_positive"),
    )
    assert [cell.id for cell in missed.cells] == ["c", "b", "a"]
    assert [cell.harmful for cell in missed.cells] == [True, True, False]
    assert (missed.harmful, alarms.harmful) == (2, 1)
    assert (missed.before, missed.after) == ("ALL", "HEM") == (alarms.after, alarms.before)


def test_many_cells_are_counted_not_shown():
    flips = [flip(f"c{at:03}", "ALL", "onnx-int8", "positive_to_negative") for at in range(60)]
    missed, alarms = groups(*flips)
    assert (len(missed.cells), missed.hidden) == (MOST_SHOWN, 60 - MOST_SHOWN)
    assert (alarms.cells, alarms.hidden) == ((), 0)


def test_several_positive_classes_are_named(document):
    data = document.data.model_copy(
        update={"classes": ("Benign", "Early", "Pro"), "positive": ("Early", "Pro")}
    )
    assert class_names(example(data=data)) == ("Benign", "Early or Pro")
