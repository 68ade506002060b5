"""The way to another host: an ssh command that nothing in a name can turn into another one."""

from __future__ import annotations

import pytest

from lading.cli.faults import Misuse
from lading.cli.tunnel import command


class TestCommand:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("other", ["--", "other"]),
            ("other.example:2222", ["-p", "2222", "--", "other.example"]),
            ("root@other", ["-l", "root", "--", "other"]),
            ("root@[fe80::1]:22", ["-p", "22", "-l", "root", "--", "fe80::1"]),
            ("[::1]", ["--", "::1"]),
        ],
    )
    def test_reaches_the_engine_there_by_name_user_and_port(
        self, text: str, expected: list[str]
    ) -> None:
        assert command(text)[-len(expected) - 1 :] == [*expected, "lading system dial-stdio"]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "-oProxyCommand=touch /tmp/owned",
            "root@-oProxyCommand=x",
            "-l@other",
            "other:-1",
            "other:0",
            "other:99999",
            "other;id",
            "other name",
            "a@b@c",
            "$(id)@other",
            "other/path",
            "other\n",
        ],
    )
    def test_takes_nothing_that_could_be_an_option_or_a_command(self, text: str) -> None:
        with pytest.raises(Misuse):
            command(text)
