"""Capabilities, seccomp profiles and --security-opt: what is granted, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lading.runtime import capabilities, inits, seccomp, security
from lading.runtime.capabilities import ALL, DEFAULT, UnknownCapability, chosen
from lading.runtime.seccomp import Host, InvalidProfile
from lading.runtime.security import BadSecurityOption, NoSuchProtection, SecurityOptions

HOST = Host("x86_64", (6, 1))


class TestCapabilities:
    def test_the_default_is_dockers_fourteen(self) -> None:
        assert chosen() == DEFAULT
        assert len(DEFAULT) == 14

    def test_names_are_free_in_form(self) -> None:
        assert chosen(["net_admin"]) == chosen(["CAP_NET_ADMIN"]) == chosen([" Net_Admin "])
        assert "CAP_NET_ADMIN" in chosen(["net_admin"])

    def test_dropping(self) -> None:
        assert "CAP_NET_RAW" not in chosen(drop=["net_raw"])
        assert chosen(drop=["all"]) == ()
        assert chosen(["CHOWN"], ["ALL"]) == ("CAP_CHOWN",)
        assert "CAP_CHOWN" in chosen(["CHOWN"], ["CHOWN"])

    def test_all(self) -> None:
        assert chosen(["ALL"]) == ALL
        assert chosen(["ALL"], ["SYS_ADMIN"]) == tuple(c for c in ALL if c != "CAP_SYS_ADMIN")

    def test_no_more_than_there_are(self) -> None:
        some = frozenset(ALL) - {"CAP_SYS_RESOURCE", "CAP_CHOWN"}
        assert set(chosen(privileged=True, available=some)) == some
        assert set(chosen(["ALL"], available=some)) == some
        assert "CAP_CHOWN" not in chosen(available=some)
        with pytest.raises(UnknownCapability):
            chosen(["SYS_RESOURCE"], available=some)

    @pytest.mark.parametrize("name", ["", "NOPE", "CAP_", "CAP_CAP_CHOWN", "CHOWN;"])
    def test_unknown_names_are_refused(self, name: str) -> None:
        with pytest.raises(UnknownCapability):
            chosen([name])
        with pytest.raises(UnknownCapability):
            chosen(drop=[name])

    def test_this_process_has_some(self) -> None:
        assert capabilities.available() <= frozenset(ALL)


def allowed(profile: dict[str, Any]) -> set[str]:
    rules = profile["syscalls"]
    return {
        n for r in rules if r["action"] == "SCMP_ACT_ALLOW" and "args" not in r for n in r["names"]
    }


class TestDefaultProfile:
    def test_it_is_an_allow_list(self) -> None:
        profile = seccomp.default(DEFAULT, HOST)
        assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
        assert {"read", "openat2", "statx", "rseq", "futex_waitv"} <= allowed(profile)

    @pytest.mark.parametrize(
        "call",
        [
            "io_uring_setup",
            "io_uring_enter",
            "keyctl",
            "add_key",
            "userfaultfd",
            "kexec_load",
            "mount",
            "unshare",
            "setns",
            "bpf",
            "ptrace_me",
            "socketcall",
            "init_module",
            "swapon",
        ],
    )
    def test_what_it_does_not_allow(self, call: str) -> None:
        assert call not in allowed(seccomp.default(DEFAULT, HOST))

    @pytest.mark.parametrize("call", ["io_uring_setup", "userfaultfd", "add_key"])
    def test_what_no_capability_allows(self, call: str) -> None:
        assert call not in allowed(seccomp.default(ALL, HOST))

    def test_what_a_capability_allows(self) -> None:
        assert "mount" in allowed(seccomp.default([*DEFAULT, "CAP_SYS_ADMIN"], HOST))
        assert "chroot" in allowed(seccomp.default(["CAP_SYS_CHROOT"], HOST))
        assert "chroot" not in allowed(seccomp.default([], HOST))

    def test_sockets_of_families_that_reach_the_host_are_not_allowed(self) -> None:
        rules = [
            r["args"][0] for r in seccomp.default(ALL, HOST)["syscalls"] if r["names"] == ["socket"]
        ]

        def opens(family: int) -> bool:
            tests = {
                "SCMP_CMP_LT": int.__lt__,
                "SCMP_CMP_EQ": int.__eq__,
                "SCMP_CMP_GT": int.__gt__,
            }
            return any(tests[a["op"]](family, a["value"]) for a in rules)

        assert [f for f in range(46) if not opens(f)] == [37, 38, 40]
        assert "socket" not in allowed(seccomp.default(ALL, HOST))

    def test_new_namespaces_take_a_capability(self) -> None:
        def rules(names: list[str]) -> list[dict[str, Any]]:
            return [r for r in seccomp.default(names, HOST)["syscalls"] if "clone" in r["names"]]

        (rule,) = rules(list(DEFAULT))
        assert rule["args"][0]["op"] == "SCMP_CMP_MASKED_EQ"
        assert rule["args"][0]["value"] == 0x7E020000
        assert "args" not in rules(["CAP_SYS_ADMIN"])[0]

    def test_every_architecture_knows_itself(self) -> None:
        for machine, name in (("aarch64", "AARCH64"), ("s390x", "S390X"), ("riscv64", "RISCV64")):
            profile = seccomp.default(DEFAULT, Host(machine, (6, 1)))
            assert profile["architectures"][0] == f"SCMP_ARCH_{name}"
        with pytest.raises(InvalidProfile):
            seccomp.default(DEFAULT, Host("pdp11", (6, 1)))


class TestGivenProfile:
    def parse(self, profile: object, held: tuple[str, ...] = DEFAULT) -> dict[str, Any]:
        return seccomp.parse(json.dumps(profile), held, HOST)

    def test_conditions_are_answered(self) -> None:
        def rule(name: str, **conditions: object) -> dict[str, object]:
            return {"names": [name], "action": "SCMP_ACT_ALLOW", **conditions}

        profile = {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 38,
            "archMap": [
                {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None},
            ],
            "syscalls": [
                rule("always", comment="x", includes={}, excludes=None),
                rule("with", includes={"caps": ["CAP_CHOWN"]}),
                rule("without", includes={"caps": ["CAP_SYS_ADMIN"]}),
                rule("unless", excludes={"caps": ["CAP_CHOWN"]}),
                rule("here", includes={"arches": ["amd64", "x32"]}),
                rule("elsewhere", includes={"arches": ["arm64"]}),
                rule("not-here", excludes={"arches": ["amd64"]}),
                rule("new", includes={"minKernel": "6.2"}),
                rule("old", includes={"minKernel": "4.8"}),
                {
                    "name": "single",
                    "action": "SCMP_ACT_ERRNO",
                    "errnoRet": 1,
                    "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}],
                },
            ],
        }
        found = self.parse(profile)
        assert found["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
        assert found["defaultErrnoRet"] == 38
        assert [r["names"][0] for r in found["syscalls"]] == [
            "always",
            "with",
            "here",
            "old",
            "single",
        ]
        assert found["syscalls"][0] == {"names": ["always"], "action": "SCMP_ACT_ALLOW"}
        assert found["syscalls"][-1]["args"][0]["op"] == "SCMP_CMP_EQ"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "null",
            "1",
            '"x"',
            "{}",
            '{"defaultAction": 5}',
            '{"defaultAction":"a","syscalls":[5]}',
            '{"defaultAction":"a","syscalls":[{"names":["x"]}]}',
            '{"defaultAction":"a","syscalls":[{"action":"x"}]}',
            '{"defaultAction":"a","syscalls":[{"name":"x","names":["y"],"action":"x"}]}',
            '{"defaultAction":"a","syscalls":[{"names":[5],"action":"x"}]}',
            '{"defaultAction":"a","syscalls":{"a":1}}',
            '{"defaultAction":"a","architectures":["x"],"archMap":[{}]}',
            '{"defaultAction":"a","syscalls":[{"names":["x"],"action":"x","includes":{"minKernel":"x"}}]}',
            '{"defaultAction":"a","syscalls":[{"names":["x"],"action":"x","includes":[1]}]}',
            "[" * 100_000,
            " " * 2_000_000,
        ],
        ids=range(19),
    )
    def test_a_bad_one_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidProfile):
            seccomp.parse(text, DEFAULT, HOST)


class TestOptions:
    def test_none(self) -> None:
        assert security.parse([]) == SecurityOptions()
        assert security.parse([], has_apparmor=True).apparmor == "lading-default"

    @pytest.mark.parametrize(
        "option", ["no-new-privileges", "no-new-privileges=true", "no-new-privileges:1"]
    )
    def test_no_new_privileges(self, option: str) -> None:
        assert security.parse([option]).no_new_privileges
        assert not security.parse([option, "no-new-privileges=false"]).no_new_privileges

    def test_seccomp(self) -> None:
        assert security.parse(["seccomp=unconfined"]).seccomp == security.UNCONFINED
        assert security.parse(["seccomp:unconfined"]).seccomp == security.UNCONFINED
        assert security.parse(["seccomp=builtin"]).seccomp == ""
        assert security.parse(['seccomp={"a": "b=c"}']).seccomp == '{"a": "b=c"}'

    def test_apparmor(self) -> None:
        assert security.parse(["apparmor=mine"], has_apparmor=True).apparmor == "mine"
        assert security.parse(["apparmor=unconfined"], has_apparmor=True).apparmor is None
        assert security.parse(["apparmor=unconfined"]).apparmor is None
        with pytest.raises(NoSuchProtection):
            security.parse(["apparmor=mine"])

    def test_labels(self) -> None:
        assert security.parse(["label=disable", "disable"]) == SecurityOptions()
        with pytest.raises(NoSuchProtection):
            security.parse(["label=type:svirt_t"])

    def test_system_paths(self) -> None:
        assert security.parse(["systempaths=unconfined"]).system_paths_unconfined
        with pytest.raises(BadSecurityOption):
            security.parse(["systempaths=x"])

    @pytest.mark.parametrize("option", ["", "seccomp", "nope=1", "no-new-privileges=maybe", "x:y"])
    def test_the_unknown_is_refused_in_dockers_words(self, option: str) -> None:
        with pytest.raises(BadSecurityOption, match=r"invalid --security-opt [12]: "):
            security.parse([option])

    def test_apparmor_is_asked_of_the_kernel(self, tmp_path: Path) -> None:
        file = tmp_path / "enabled"
        assert not security.has_apparmor(file)
        file.write_text("Y\n")
        assert security.has_apparmor(file)


class TestInits:
    def test_only_static_programs_are_taken(self, tmp_path: Path) -> None:
        script = tmp_path / "script"
        script.write_text("#!/bin/sh\n")
        assert not inits.is_static(script)
        assert not inits.is_static(Path("/bin/sh"))
        cut = tmp_path / "cut"
        cut.write_bytes(b"\x7fELF\x02\x01")
        assert not inits.is_static(cut)
