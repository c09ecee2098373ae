"""Whatever is asked by the API's own description, the answer is one: never a bug."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.schemas import APIOperation

from tests.dashboard.conftest import SECRET, Site

pytestmark = pytest.mark.integration

ENDLESS = "/api/events"
COUNTING = "/login"
"""Wrong passwords would close the door to all that is asked after them."""

HEADERS = {"Authorization": f"Bearer {SECRET}"}


def operations(address: str) -> Iterator[APIOperation]:
    """Give every operation that the API describes and that may be asked at will."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json", headers=HEADERS)
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path not in (ENDLESS, COUNTING):
            yield operation


def test_no_question_is_a_bug(site: Site) -> None:
    asked = [ask(operation) for operation in operations(site.address)]
    assert len(asked) > 20


def ask(operation: APIOperation) -> str:
    """Ask in many ways, right and wrong."""

    @given(case=operation.as_strategy())
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    def answered(case: schemathesis.Case) -> None:
        answer = case.call(headers=HEADERS)
        assert answer.status_code in {*range(200, 500), 503}, answer.text
        assert answer.headers["x-content-type-options"] == ["nosniff"]

    answered()
    return operation.label
