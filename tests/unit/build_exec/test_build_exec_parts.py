"""What a build's parts promise each other: events in turn, keys, caches, cancelling, contexts."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lading.api.build_stream import PatientFeed
from lading.api.build_words import ClassicWords, OwnWords
from lading.api.builds import Parcel, Pocket, asked
from lading.api.query import Query
from lading.build import fetching
from lading.build.cache import key_of
from lading.build.caches import Caches
from lading.build.cancelling import Cancellation, Cancelled
from lading.build.context import NoDockerfile, received
from lading.build.fetching import AddressRefused
from lading.build.ignore import Ignore
from lading.build.run_mounts import check_network
from lading.build.state import State
from lading.build.steps import CommandFailed
from lading.build.telling import InTurn, StageEnded, StepBegan, StepEnded, StepSaid
from lading.cli.build_context import chosen
from lading.cli.build_output import Output
from lading.cli.build_view import table
from lading.cli.faults import Fault
from lading.errors import Invalid, NotFound
from lading.image.edit import Step
from lading.oci.platform import Platform
from tarball import Tarball

HOST = Platform("linux", "amd64")


class TestInTurn:
    def test_a_later_stage_waits_for_the_earlier_one(self) -> None:
        told: list[int] = []
        turns = InTurn((2, 0), lambda event: told.append(event.stage))
        turns.tell(StepSaid(0, 1, b"early"))
        turns.tell(StepSaid(2, 1, b""))
        assert told == [2]
        turns.tell(StageEnded(0))
        turns.tell(StageEnded(2))
        assert told == [2, 2, 0, 0]

    def test_what_was_cut_off_is_told_at_the_end(self) -> None:
        told: list[int] = []
        turns = InTurn((0, 1), lambda event: told.append(event.stage))
        turns.tell(StepSaid(1, 1, b""))
        turns.flush()
        assert told == [1]


class TestCancelling:
    def test_what_runs_is_ended_and_the_rest_does_not_begin(self) -> None:
        cancellation, ended = Cancellation(), list[str]()
        with pytest.raises(Cancelled), cancellation.ending(lambda: ended.append("first")):
            cancellation.cancel()
        assert ended == ["first"]
        with pytest.raises(Cancelled), cancellation.ending(lambda: ended.append("late")):
            pass
        assert ended == ["first", "late"]
        with pytest.raises(Cancelled):
            cancellation.check()

    def test_what_has_ended_is_left_alone(self) -> None:
        cancellation, ended = Cancellation(), list[str]()
        with cancellation.ending(lambda: ended.append("x")):
            pass
        cancellation.cancel()
        assert ended == []


class TestState:
    def test_its_past_and_age_are_not_in_its_fingerprint(self) -> None:
        one = State.scratch(HOST).then(Step(1, "ENV A=1"), run={"Env": ["A=1"]})
        other = State.scratch(HOST).then(Step(2, "env A 1", author="me"), run={"Env": ["A=1"]})
        assert one.id != other.id
        assert one.fingerprint == other.fingerprint

    def test_config_and_platform_are(self) -> None:
        bare = State.scratch(HOST)
        seen = {
            bare.fingerprint,
            State.scratch(Platform("linux", "arm64")).fingerprint,
            bare.then(Step(1), run={"Env": ["A=1"]}).fingerprint,
            bare.then(Step(1), run={"Healthcheck": {"Test": ["NONE"]}}).fingerprint,
            bare.then(Step(1), run={"OnBuild": ["RUN true"]}).fingerprint,
        }
        assert len(seen) == 5

    def test_keys_tell_their_parts_apart(self) -> None:
        keys = {key_of("a", "b"), key_of("ab"), key_of("a", ["b"]), key_of(["a", "b"])}
        assert len(keys) == 4
        assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})


class TestCaches:
    @pytest.fixture
    def caches(self, tmp_path: Path) -> Caches:
        caches = Caches(tmp_path / "caches")
        caches.sweep()
        return caches

    def test_identities_are_hashed(self, caches: Caches, tmp_path: Path) -> None:
        with caches.held("../../x", sharing="shared", fill=lambda place: None) as place:
            assert place.parent.parent == tmp_path / "caches"
            assert ".." not in place.parts

    def test_only_a_new_one_is_filled_and_a_failure_leaves_none(self, caches: Caches) -> None:
        def fail(place: Path) -> None:
            raise OSError("full")

        with pytest.raises(OSError, match="full"), caches.held("a", sharing="shared", fill=fail):
            pass
        assert caches.list() == []
        with caches.held("a", sharing="shared", fill=lambda p: (p / "f").touch()) as place:
            assert (place / "f").exists()
        with caches.held("a", sharing="shared", fill=fail) as place:
            assert (place / "f").exists()

    def test_private_ones_are_apart_while_both_are_used(self, caches: Caches) -> None:
        def nothing(place: Path) -> None:
            """As it is."""

        with (
            caches.held("a", sharing="private", fill=nothing) as one,
            caches.held("a", sharing="private", fill=nothing) as other,
        ):
            assert one != other
        with caches.held("a", sharing="private", fill=nothing) as again:
            assert again == one

    def test_one_in_use_is_not_removed(self, caches: Caches) -> None:
        with caches.held("a", sharing="shared", fill=lambda place: None):
            (there,) = caches.list()
            assert not caches.remove(there.name)
        assert caches.remove(there.name)
        assert caches.list() == []

    def test_locked_ones_are_had_one_after_the_other(self, caches: Caches) -> None:
        order: list[str] = []
        first = threading.Event()

        def second() -> None:
            first.wait(5)
            with caches.held("a", sharing="locked", fill=lambda place: None):
                order.append("second")

        thread = threading.Thread(target=second)
        thread.start()
        with caches.held("a", sharing="locked", fill=lambda place: None):
            first.set()
            thread.join(0.05)
            order.append("first")
        thread.join(5)
        assert order == ["first", "second"]


class TestContexts:
    def test_the_usual_names_are_looked_for_and_links_stay_inside(self, tmp_path: Path) -> None:
        tar = Tarball().file("dockerfile", b"FROM x").symlink("in", "/dockerfile")
        tar.symlink("out", "/etc/hostname")
        with received(io.BytesIO(tar.content), tmp_path / "work") as context:
            assert context.dockerfile("") == ("dockerfile", b"FROM x")
            assert context.dockerfile("in")[1] == b"FROM x"
            for name in ("out", "../../../etc/hostname", "none"):
                with pytest.raises(NoDockerfile):
                    context.dockerfile(name)
        assert not (tmp_path / "work").exists()

    def test_what_is_ignored_is_removed_but_for_the_way_to_the_rest(self, tmp_path: Path) -> None:
        tar = Tarball().file("a/b/keep", b"").file("a/b/go", b"").file("go/x", b"").file("f", b"")
        with received(io.BytesIO(tar.content), tmp_path / "work") as context:
            context.prune(Ignore.of(["*", "!a/b/keep"]))
            left = sorted(str(p.relative_to(context.root)) for p in context.root.rglob("*"))
            assert left == ["a", "a/b", "a/b/keep"]

    def test_what_is_sent_is_what_is_not_ignored(self, tmp_path: Path) -> None:
        for name in ("a/b/keep", "a/b/go", "go/x", "f"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        kept = list(chosen(tmp_path, Ignore.of(["*", "!a/b/keep"])))
        assert kept == [b"a", b"a/b", b"a/b/keep"]
        assert list(chosen(tmp_path, Ignore.of(["go", "f"])))[-1] == b"a/b/keep"
        assert len(list(chosen(tmp_path, None))) == 7


class TestFetching:
    @pytest.mark.parametrize(
        "address",
        ["169.254.169.254", "fe80::1%eth0", "fd00:ec2::254", "224.0.0.1", "0.0.0.0",
         "::ffff:169.254.169.254", "100.100.100.200"],
    )  # fmt: skip
    def test_addresses_of_this_hosts_own_are_refused(self, address: str) -> None:
        with pytest.raises(AddressRefused):
            fetching._check("host", address)

    @pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "1.1.1.1", "2606:4700::1111"])
    def test_others_are_not(self, address: str) -> None:
        fetching._check("host", address)

    def test_names_come_from_the_address(self) -> None:
        assert fetching.name_of("https://h/a/b%20c?x=/y", "/") == "b c"
        with pytest.raises(Invalid, match="cannot determine filename"):
            fetching.name_of("https://h/", "/d/")

    def test_networks(self) -> None:
        assert check_network("default", "host") == "host"
        assert check_network("none", "host") == "none"
        with pytest.raises(Invalid):
            check_network("host", "default")


def _decoded(content: bytes) -> list[str]:
    return [line for line in content.decode().splitlines() if line]


class TestWords:
    ENDED = StepEnded(0, 2, "RUN x", "sha256:" + "ab" * 32, cached=True, seconds=0.5, size=3)

    def test_the_classic_stream(self) -> None:
        words = ClassicWords(quiet=False)
        events = [StepBegan(0, 2, 3, "RUN x"), StepSaid(0, 1, b"a\xc3"), StepSaid(0, 1, b"\xa9\n")]
        text = "".join(line["stream"] for e in (*events, self.ENDED) for line in words.lines(e))
        assert text == "Step 2/3 : RUN x\naé\n ---> Using cache\n ---> abababababab\n"
        assert list(ClassicWords(quiet=True).lines(self.ENDED)) == []

    def test_a_failed_command_gives_its_code(self) -> None:
        line = OwnWords().failed(CommandFailed("x", 77))
        assert line["errorDetail"]["code"] == 77
        assert ClassicWords(quiet=True).failed(Invalid("no"))["errorDetail"]["code"] == 400

    def test_the_table_shows_every_step(self) -> None:
        lines = [dict(line) for line in OwnWords().lines(self.ENDED)]
        assert table(lines).splitlines()[1].split() == ["RUN", "x", "3B", "0.5s", "yes"]


class TestFeed:
    def test_a_thread_waits_for_a_slow_client_and_nothing_is_lost(self) -> None:
        async def story() -> list[str]:
            feed = PatientFeed(asyncio.get_running_loop())
            lines = ({"stream": str(n)} for n in range(5000))
            thread = threading.Thread(target=feed.put, args=(lines,))
            thread.start()
            got: list[str] = []
            while len(got) < 5000:
                await feed.wait()
                got += _decoded(feed.taken())
            thread.join()
            return got

        got = asyncio.run(story())
        assert (got[0], got[-1], len(got)) == ('{"stream":"0"}', '{"stream":"4999"}', 5000)

    def test_a_thread_is_let_go_when_nobody_reads(self) -> None:
        async def story() -> None:
            feed = PatientFeed(asyncio.get_running_loop())
            lines = ({"stream": str(n)} for n in range(5000))
            thread = threading.Thread(target=feed.put, args=(lines,))
            thread.start()
            feed.close()
            await asyncio.to_thread(thread.join, 5)
            assert not thread.is_alive()

        asyncio.run(story())


class TestAsking:
    def ask(self, **values: str) -> Callable[..., object]:
        return asked(Query({k: [v] for k, v in values.items()}), {}, Parcel())  # type: ignore[return-value]

    def test_the_query_is_dockers(self) -> None:
        query = {
            "t": ["a", "b:1"],
            "buildargs": ['{"A":"1","B":null}'],
            "labels": ['{"l":"v"}'],
            "extrahosts": ["h:1.2.3.4,i:5.6.7.8"],
            "memory": ["1000000"],
            "ulimits": ['[{"Name":"nofile","Soft":1,"Hard":2}]'],
            "networkmode": ["none"],
        }
        request = asked(Query(query), {}, Parcel())
        assert [name.familiar for name in request.references] == ["a:latest", "b:1"]
        assert request.build_args == {"A": "1"}
        assert request.hosts == ("h:1.2.3.4", "i:5.6.7.8")
        assert request.limits["Memory"] == 1_000_000
        assert request.limits["Ulimits"][0]["Soft"] == 1
        assert request.network == "none"

    @pytest.mark.parametrize("text", ["[", "[]", '{"a":1}', "7"])
    def test_what_is_no_object_of_strings_is_refused(self, text: str) -> None:
        with pytest.raises(Invalid, match="error reading"):
            self.ask(buildargs=text)

    def test_a_parcel_is_had_once(self) -> None:
        pocket = Pocket()
        word = pocket.put(Parcel({"s": b"x"}))
        assert pocket.take(word).secrets == {"s": b"x"}
        with pytest.raises(NotFound):
            pocket.take(word)

    def test_secrets_are_not_shown(self) -> None:
        assert "x" * 9 not in repr(Parcel({"s": b"x" * 9}))
        request = asked(Query({}), {}, Parcel({"s": b"x" * 9}))
        assert "x" * 9 not in repr(request)


class TestOutputs:
    @pytest.mark.parametrize(
        ("text", "kind", "destination"),
        [
            ("out", "local", "out"),
            ("type=tar,dest=o.tar", "tar", "o.tar"),
            ("type=oci,dest=x", "oci", "x"),
            ("type=local,dest=d", "local", "d"),
        ],
    )
    def test_forms(self, text: str, kind: str, destination: str) -> None:
        output = Output.parse(text)
        assert (output.kind, output.destination) == (kind, destination)

    @pytest.mark.parametrize("text", ["type=zip", "dest=x", "type=local", "type=tar,x=y"])
    def test_what_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(Fault):
            Output.parse(text)
