"""The documents that most tests of the report look at."""

import pytest
from report_example import bare, example


@pytest.fixture(scope="session")
def document():
    return example()


@pytest.fixture(scope="session")
def bare_document():
    return bare()
