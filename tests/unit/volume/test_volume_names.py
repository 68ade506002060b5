"""A name is looked at before any path is made of it, and refused in Docker's words."""

from __future__ import annotations

import pytest

from lading.volume.names import InvalidVolumeName, check_name, random_name


@pytest.mark.parametrize("name", ["data", "a1", "Web_data-1.0", "0x", "a" * 255])
def test_ordinary_names_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "../../x", "..", ".hidden", "-x", "a/b", "a b", "a:b", "a\0b", "a\n", "ä1", "a" * 256],
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(InvalidVolumeName):
        check_name(name)


def test_refusals_have_dockers_words() -> None:
    with pytest.raises(InvalidVolumeName, match="too short"):
        check_name("x")
    with pytest.raises(InvalidVolumeName, match=r'only "\[a-zA-Z0-9\]\[a-zA-Z0-9_\.-\]" are'):
        check_name("../x")


def test_a_volume_without_a_name_gets_64_hex_digits() -> None:
    first, second = random_name(), random_name()
    assert first != second
    assert len(first) == 64
    assert set(first) <= set("0123456789abcdef")
    assert check_name(first) == first
