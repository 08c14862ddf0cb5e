"""What one training run can be told, and what contradicts itself."""

import pytest

from allnet_edge.errors import RecipeError
from allnet_edge.spec.base import parse
from allnet_edge.spec.training import Hosts, TrainRuntime, TrainSettings


def test_the_defaults_are_allnets_paper():
    told = TrainSettings(model="allnet")
    assert (told.input_size, told.batch_size, told.epochs) == (250, 32, 40)
    assert (told.select, told.standardise, told.per_channel) == ("accuracy", "dataset", False)
    assert (told.augment, told.oversample, told.class_weights) == ("none", "none", "none")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input_size", 31), ("epochs", 0), ("batch_size", 0), ("width", 0), ("width", 2.1),
        ("crop", 0), ("learning_rate", 0), ("learning_rate", 1.1), ("decay", 0), ("decay_every", 0),
        ("rotation", 361), ("translation", 1), ("bn_momentum", 1), ("bn_momentum", 0.4),
        ("seed", -1), ("schedule", "linear"), ("augment", "mirror"), ("precision", "float16"),
        ("select", "loss"), ("class_weights", "inverse"), ("oversample", "copies"),
        ("standardise", "imagenet"), ("tta_rotations", 0),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_by_its_key(key, value):
    with pytest.raises(RecipeError, match=f"^{key}: ") as caught:
        parse({"model": "allnet", key: value}, TrainSettings, where="train")
    assert caught.value.exit_code == 2


def test_over_sampling_and_class_weights_are_not_used_together():
    told = {"model": "allnet", "oversample": "smote", "class_weights": "balanced"}
    with pytest.raises(RecipeError, match=r"oversample and class_weights .* choose one"):
        parse(told, TrainSettings, where="train")


def test_an_unknown_key_of_a_layers_rate_is_refused():
    told = {"model": "allnet", "layer_rates": [{"layers": "stem", "learning_rat": 0.1}]}
    with pytest.raises(
        RecipeError,
        match=r"layer_rates.0.learning_rat, did you mean learning_rate\? "
        r"\(known: layers, learning_rate\)",
    ):
        parse(told, TrainSettings, where="train")


@pytest.mark.parametrize(
    "coordinator", ["10.0.0.1:1234", "node-1.cluster:80", "localhost:65535", "[::1]:1234"]
)
def test_a_coordinator_is_a_host_and_a_port(coordinator):
    assert Hosts(coordinator=coordinator, processes=2, process=1).coordinator == coordinator


@pytest.mark.parametrize(
    "coordinator",
    ["10.0.0.1", "host:", ":1234", "host:http", "a b:1", "::1:1234", "host:65536", ""],
)
def test_anything_else_is_not(coordinator):
    hosts = {"coordinator": coordinator, "processes": 2, "process": 0}
    with pytest.raises(RecipeError, match=r"hosts.coordinator: .*HOST:PORT"):
        parse({"distribute": "hosts", "hosts": hosts}, TrainRuntime, where="train")


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ({"coordinator": "a:1"}, "belong together"),
        ({"coordinator": "a:1", "processes": 2}, "belong together"),
        ({"processes": 2, "process": 0}, "belong together"),
        ({"coordinator": "a:1", "processes": 2, "process": 2}, "--process 2 is not below"),
        ({"coordinator": "a:1", "processes": 1, "process": 0}, "processes"),
        ({"coordinator": "a:1", "processes": 2, "process": -1}, "process"),
    ],
)
def test_hosts_that_do_not_fit_each_other(hosts, said):
    with pytest.raises(RecipeError, match=said):
        parse({"distribute": "hosts", "hosts": hosts}, TrainRuntime, where="train")


@pytest.mark.parametrize("distribute", ["none", "local"])
def test_hosts_are_not_passed_over_where_nobody_asked_for_them(distribute):
    hosts = {"coordinator": "a:1", "processes": 2, "process": 0}
    with pytest.raises(RecipeError, match="need --distribute hosts"):
        parse({"distribute": distribute, "hosts": hosts}, TrainRuntime, where="train")


def test_a_scheduler_may_say_who_the_hosts_are():
    assert TrainRuntime(distribute="hosts").hosts == Hosts()
