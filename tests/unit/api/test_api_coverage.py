"""docs/api.md tells the truth: every path of Docker's API is answered, and asked by a test."""

from __future__ import annotations

from pathlib import Path

import pytest

import api_coverage


@pytest.mark.parametrize(("method", "path"), api_coverage.endpoints())
def test_every_path_of_docker_is_answered_and_asked_by_a_test(method: str, path: str) -> None:
    route = api_coverage.route_of(method, path)
    assert route, f"nobody answers {method} {path}"
    assert api_coverage.askers(route), f"no test asks {method} {path}"


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).parents[3] / "docs" / "api.md"
    assert page.read_text() == api_coverage.page(), "run scripts/api"
