"""bridge, host and none are always there, and always the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.network.predefined import predefined
from lading.network.values import Network
from lading.store.database import Database
from lading.store.records import Records


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records[Network]]:
    database = Database(tmp_path / "state.db")
    yield Records(database, "network", Network)
    database.close()


def test_there_are_dockers_three(records: Records[Network]) -> None:
    found = predefined(records, "br")
    assert {name: n.driver for name, n in found.items()} == {
        "bridge": "bridge",
        "host": "host",
        "none": "null",
    }
    assert all(len(network.id) == 64 for network in found.values())


def test_they_are_the_same_ever_after(records: Records[Network]) -> None:
    first = predefined(records, "br")
    assert predefined(records, "br") == first
    assert len(records.all()) == 3


def test_a_moved_root_has_another_link(records: Records[Network]) -> None:
    before = predefined(records, "br-one")["bridge"]
    after = predefined(records, "br-two")["bridge"]
    assert (after.id, after.interface) == (before.id, "br-two")
    assert after.options["com.docker.network.bridge.name"] == "br-two"


def test_a_damaged_record_is_made_anew(tmp_path: Path, records: Records[Network]) -> None:
    bridge = predefined(records, "br")["bridge"]
    database = Database(tmp_path / "state.db")
    with database.transaction() as connection:
        connection.execute("UPDATE records SET value = 'x' WHERE key = ?", (bridge.id,))
    database.close()
    found = predefined(records, "br")
    assert found["bridge"].id != bridge.id
    assert len(records.all()) == 3
