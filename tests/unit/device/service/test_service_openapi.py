"""Schemathesis asks the service what its OpenAPI document allows, and what it does not."""

import warnings

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from served import field_file, serving

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis import GenerationMode

EXAMPLES = 8
BUSY = 503
ENDLESS = "/api/v1/live/events"  # see test_service_stream.py


@pytest.fixture(scope="module")
def documented(served_bundle, tmp_path_factory):
    """A server with something in it, and its document."""
    with serving(served_bundle, tmp_path_factory.mktemp("fuzz") / "store") as running:
        running.start_slide()
        assert running.send(field_file(1)).status_code == 201
        yield schemathesis.openapi.from_url(f"{running.url}/api/v1/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_no_request_is_a_bug(documented, mode):
    asked = 0
    for result in documented.get_all_operations():
        operation = result.ok()
        if operation.path == ENDLESS:
            continue

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case):
            nonlocal asked
            answer = case.call(timeout=30)
            asked += 1
            assert answer.status_code < 500 or answer.status_code == BUSY, answer.text
            if answer.status_code != BUSY:
                case.validate_response(answer)

        try:
            ask()
        except Unsatisfiable:  # there is nothing wrong to ask where everything is allowed
            assert mode is GenerationMode.NEGATIVE
    assert asked > 5 * EXAMPLES
