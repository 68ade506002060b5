"""Filters mean what they mean to Docker; what is no filter is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.volume.filters import Filters, InvalidFilter, ListFilter, PruneFilter, nobody
from lading.volume.values import Volume


def volume(name: str, *, anonymous: bool = False, **labels: str) -> Volume:
    return Volume(name, Path("/none"), "", labels=labels, anonymous=anonymous)


def listed(filters: Filters, one: Volume) -> bool:
    return ListFilter(filters, nobody).takes(one)


@pytest.mark.parametrize(
    ("pattern", "name", "taken"),
    [
        ("dat", "mydata", True),
        ("^dat", "mydata", False),
        ("^mydata$", "mydata", True),
        ("^mydata$", "mydata2", False),
        ("my.*ta", "mydata", True),
        ("a.c", "abc", False),
        ("(a+)+$", "aaaa", False),
    ],
)
def test_a_name_is_searched_for(pattern: str, name: str, *, taken: bool) -> None:
    assert listed({"name": [pattern]}, volume(name)) is taken


def test_one_name_of_several_is_enough_and_every_label_is_needed() -> None:
    one = volume("web", tier="front", env="test")
    assert listed({"name": ["db", "web"]}, one)
    assert listed({"label": ["tier", "env=test"]}, one)
    assert not listed({"label": ["tier", "env=live"]}, one)


def test_dangling_is_what_no_container_uses() -> None:
    def used(name: str) -> tuple[str, ...]:
        return ("c1",) if name == "web" else ()

    for value, names in (("true", ["db"]), ("0", ["web"])):
        wanted = ListFilter({"dangling": [value]}, used)
        assert [v.name for v in (volume("db"), volume("web")) if wanted.takes(v)] == names


def test_drivers_are_compared_whole() -> None:
    assert listed({"driver": ["local"]}, volume("web"))
    assert not listed({"driver": ["loc"]}, volume("web"))


def test_prune_takes_anonymous_volumes_unless_all_is_asked_for() -> None:
    named, anonymous = volume("web"), volume("0" * 64, anonymous=True)
    plain, everything = PruneFilter({}), PruneFilter({"all": ["true"]})
    assert [plain.takes(named), plain.takes(anonymous)] == [False, True]
    assert [everything.takes(named), everything.takes(anonymous)] == [True, True]


def test_prune_keeps_what_has_a_refused_label() -> None:
    one = volume("a1", anonymous=True, keep="yes")
    assert not PruneFilter({"label!": ["keep"]}).takes(one)
    assert PruneFilter({"label!": ["keep=no"]}).takes(one)
    assert not PruneFilter({"label": ["other"]}).takes(one)


@pytest.mark.parametrize(
    "filters", [{"until": ["1h"]}, {"dangling": ["maybe"]}, {"dangling": ["true", "false"]}]
)
def test_what_is_no_filter_of_the_list_is_refused_by_name(filters: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidFilter, match=next(iter(filters))):
        ListFilter(filters, nobody)


def test_what_is_no_filter_of_prune_is_refused_by_name() -> None:
    with pytest.raises(InvalidFilter, match="invalid filter 'name'"):
        PruneFilter({"name": ["x"]})


def test_a_pattern_cannot_be_made_slow() -> None:
    with pytest.raises(InvalidFilter):
        ListFilter({"name": [".*" * 40 + "x"]}, nobody)
