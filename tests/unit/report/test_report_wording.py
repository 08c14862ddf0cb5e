import pytest
from report_example import plain

from allnet_edge.measure.gate_report import Check
from allnet_edge.report import wording
from allnet_edge.report.document import Estimate, TargetFacts


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.974, "97.4 %"),
        (1, "100 %"),
        (0, "0 %"),
        (0.99961, ">99.9 %"),
        (0.0004, "<0.1 %"),
        (None, "not measured"),
    ],
)
def test_percent_never_rounds_to_certainty(value, said):
    assert plain(wording.percent(value)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (26_412_334, "26.4 MB"),
        (999_400, "999 kB"),
        (999_600, "1 MB"),
        (1.5e9, "1.5 GB"),
        (None, "not measured"),
    ],
)
def test_size(value, said):
    assert plain(wording.size(value)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.04, "0.0 s"),
        (59.9, "59.9 s"),
        (192, "3 min 12 s"),
        (3900, "1 h 05 min"),
        (None, "not measured"),
    ],
)
def test_seconds(value, said):
    assert plain(wording.seconds(value)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.3124, "0.312 ms"), (6.314, "6.31 ms"), (41.27, "41.3 ms"), (1234.5, "1,234 ms")],
)
def test_milliseconds_keep_three_digits(value, said):
    assert plain(wording.milliseconds(value)) == said


@pytest.mark.parametrize(
    ("value", "said"), [(-0.0052, "-0.52 pp"), (0.011, "+1.10 pp"), (-1e-6, "0.00 pp")]
)
def test_points_are_signed_and_never_minus_zero(value, said):
    assert plain(wording.points(value)) == said


def test_a_loss_has_a_true_minus_sign():
    assert wording.signed(-0.5, 1) == "\N{MINUS SIGN}0.5"


def test_intervals():
    assert plain(wording.percent_interval(Estimate(value=0.9, lower=0.87, upper=1))) == "87.0-100 %"
    assert (
        plain(wording.area_interval(Estimate(value=0.9, lower=0.87, upper=0.93))) == "0.870-0.930"
    )
    assert wording.percent_interval(Estimate(value=0.9)) == "interval not measured"
    assert wording.percent_interval(None) == ""


def check(metric, **more):
    return Check(metric=metric, n=9, float=0.9, margin=0.02, verdict="fail", **more)


def test_the_bound_is_named_only_where_it_decides():
    figures = {"edge": 0.88, "delta": -0.02, "lower": -0.03, "upper": -0.01}
    assert (
        plain(wording.check_outcome(check("sensitivity", **figures))) == "-2.00 pp, bound -3.00 pp"
    )
    assert plain(wording.check_outcome(check("auc", **figures))) == "-0.0200"
    assert plain(wording.check_limit(check("accuracy"))) == "difference at least -2.00 pp"


def test_a_check_without_figures_is_not_measured():
    assert wording.check_outcome(check("sensitivity")) == "not measured, bound not measured"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (TargetFacts(name="x", title="NVIDIA Orin", kind="jetson"), "not on a Jetson"),
        (TargetFacts(name="pi", title="Raspberry Pi 5", kind="pi"), "not on Raspberry Pi 5"),
    ],
)
def test_a_proxy_is_told_apart_from_the_target(target, said):
    assert wording.device_class("host-proxy", target).endswith(said)
    assert wording.device_class("jetson", target) == "jetson"
