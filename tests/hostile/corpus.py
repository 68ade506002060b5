"""What strangers put into archives: one case for each way that has hurt somebody.

Rows are those of the project's list of hostile inputs (class 1a).  A case says what must
happen: REFUSED with an error, or HARMLESS either way, nothing outside ever touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from hostile.rawtar import (
    BLOCK,
    directory,
    file,
    hardlink,
    long_name,
    member,
    pax,
    symlink,
    tar,
)


class Outcome(Enum):
    REFUSED = "refused"
    HARMLESS = "harmless"


REFUSED, HARMLESS = Outcome.REFUSED, Outcome.HARMLESS


@dataclass(frozen=True)
class Case:
    """One archive.  VICTIM in it stands for a directory outside that must not change."""

    row: int
    name: str
    outcome: Outcome
    make: Callable[[bytes], bytes]  # from the victim's absolute path to the tar

    def __str__(self) -> str:
        return f"{self.row}-{self.name}"


def cases() -> Iterator[Case]:
    """Every case; names are unique."""
    yield from _escapes()
    yield from _links()
    yield from _whiteouts()
    yield from _attributes()
    yield from _headers()
    yield from _sizes()
    yield from _names()


def _case(row: int, name: str, outcome: Outcome, *members: bytes) -> Case:
    return Case(row, name, outcome, lambda victim: tar(*members).replace(b"VICTIM", victim))


def _escapes() -> Iterator[Case]:
    """Rows 1 and 2: links planted by the archive, and plain traversal."""

    def through(name: str, target: bytes) -> Case:
        return Case(
            1,
            name,
            HARMLESS,
            lambda victim: tar(
                symlink(b"lnk", target.replace(b"VICTIM", victim)),
                file(b"lnk/planted"),
                file(b"lnk" + victim + b"/planted"),
            ),
        )

    yield through("absolute", b"/")
    yield through("relative", b"../../../../../../../..")
    yield through("victim", b"VICTIM")
    yield through("proc-root", b"/proc/self/root")
    yield through("proc-cwd", b"/proc/self/cwd")
    yield Case(
        1,
        "nested",
        HARMLESS,
        lambda v: tar(directory(b"a"), symlink(b"a/l", b".." + v), file(b"a/l/planted")),
    )
    yield Case(
        1,
        "replaced-directory",
        HARMLESS,
        lambda v: tar(file(b"d/x"), symlink(b"d", v), file(b"d/planted")),
    )
    yield Case(
        1,
        "dangling",
        HARMLESS,
        lambda v: tar(symlink(b"new", v + b"/made"), directory(b"new"), file(b"new/planted")),
    )
    for n, name in enumerate(
        (b"../x", b"a/../../x", b"./../x", b"a//..//../x", b"..", b"a/..", b"../../../../../tmp/x")
    ):
        yield _case(2, f"traversal-{n}", REFUSED, file(name))
        yield _case(2, f"traversal-directory-{n}", REFUSED, directory(name))
        yield _case(2, f"traversal-link-{n}", REFUSED, symlink(name, b"x"))
    yield Case(2, "absolute-name", HARMLESS, lambda v: tar(file(v[:90] + b"/planted")))
    yield _case(2, "dot-file", REFUSED, file(b"."))
    yield _case(2, "zero-in-pax-name", REFUSED, pax({b"path": b"a\0b"}), file(b"x"))
    yield _case(2, "pax-traversal", REFUSED, pax({b"path": b"../x"}), file(b"x"))
    yield _case(2, "gnu-traversal", REFUSED, long_name(b"../" * 40 + b"x"), file(b"x"))
    yield _case(2, "prefix-traversal", REFUSED, member(b"x", b"y", prefix=b"../.."))


def _links() -> Iterator[Case]:
    """Rows 3 to 7: hard links to outside, chains of links, the root as a link."""
    for n, target in enumerate((b"/etc/passwd", b"../../etc/passwd", b"none", b"d", b".", b"l")):
        yield _case(3, f"hardlink-{n}", REFUSED, directory(b"d"), hardlink(b"l", target))
    yield Case(
        3,
        "hardlink-through-link",
        HARMLESS,
        lambda v: tar(symlink(b"d", v), hardlink(b"p", b"d/kept"), file(b"p", b"changed")),
    )
    yield Case(
        3,
        "hardlink-to-link-then-write",
        HARMLESS,
        lambda v: tar(symlink(b"s", v + b"/kept"), hardlink(b"h", b"s"), file(b"h", b"changed")),
    )
    for n, (link, other) in enumerate(((b"s", b"h"), (b"h", b"s"))):  # whichever is copied first
        yield Case(
            3,
            f"hardlink-of-a-link-{n}",
            HARMLESS,
            lambda v, a=link, b=other: tar(symlink(a, v + b"/kept"), hardlink(b, a)),
        )
    yield Case(
        4,
        "two-hops",
        HARMLESS,
        lambda v: tar(
            directory(b"a/b/c"),
            symlink(b"a/b/c/up", b"../.."),
            symlink(b"a/b/esc", b"c/up/../.." + v),
            file(b"a/b/esc/planted"),
            hardlink(b"h", b"a/b/esc/kept"),
        ),
    )
    yield Case(
        4,
        "many-hops",
        HARMLESS,
        lambda v: tar(
            symlink(b"l0", v),
            *(symlink(b"l%d" % n, b"l%d" % (n - 1)) for n in range(1, 60)),
            file(b"l59/planted"),
        ),
    )
    yield Case(4, "loop", HARMLESS, lambda v: tar(symlink(b"l", b"l"), file(b"l/x")))
    deep = b"/".join([b"d" * 200] * 30)
    yield _case(5, "longer-than-path-max", REFUSED, pax({b"path": deep}), file(b"x"))
    yield _case(5, "long-target", REFUSED, pax({b"linkpath": b"t" * 5000}), symlink(b"l", b"x"))
    yield Case(
        5,
        "link-made-again-shallower",
        HARMLESS,
        lambda v: tar(
            directory(b"a/b"),
            symlink(b"a/b/l", b"../.."),
            hardlink(b"h", b"a/b/l"),
            file(b"h/planted"),
        ),
    )
    for n, name in enumerate((b".", b"/", b"./", b"./.")):
        yield _case(6, f"root-is-a-link-{n}", REFUSED, symlink(name, b"/tmp"), file(b"x"))
        # A slash at the end has meant a directory since before there was a type for it.
        outcome = HARMLESS if name.endswith(b"/") else REFUSED
        yield _case(6, f"root-is-a-file-{n}", outcome, member(name), file(b"x"))
    yield Case(
        7,
        "attributes-through-a-link",
        HARMLESS,
        lambda v: tar(symlink(b"d", v), directory(b"d", mode=b"0000777\0")),
    )
    yield Case(
        7,
        "attributes-through-a-slash",
        HARMLESS,
        lambda v: tar(symlink(b"d", v), directory(b"d/", mode=b"0000777\0")),
    )
    yield Case(
        7,
        "owner-of-a-link",
        HARMLESS,
        lambda v: tar(member(b"l", flag=b"2", target=v, uid=b"0001750\0", mode=b"0007777\0")),
    )


def _whiteouts() -> Iterator[Case]:
    """Rows 8 and 9."""
    for n, name in enumerate((b".wh.", b".wh..", b".wh...", b"a/.wh.", b"a/.wh..", b"a/.wh...")):
        yield _case(8, f"nobody-{n}", REFUSED, file(name, b""))
    yield _case(8, "ancestor", HARMLESS, directory(b"a"), file(b"a/.wh.../x", b""))
    for kind, marker in (("whiteout", b".wh.kept"), ("opaque", b".wh..wh..opq")):
        yield Case(
            8,
            f"{kind}-through-a-link",
            HARMLESS,
            lambda v, m=marker: tar(symlink(b"l", v), file(b"l/" + m, b"")),
        )
    yield _case(8, "own-parent", HARMLESS, file(b"a/b"), file(b".wh.a", b""), file(b"a/c"))
    yield _case(8, "with-its-file", HARMLESS, file(b"f"), file(b".wh.f", b""))
    yield _case(8, "before-its-file", HARMLESS, file(b".wh.f", b""), file(b"f"))
    yield _case(8, "aufs-plink", HARMLESS, directory(b".wh..wh.plnk"), file(b".wh..wh.aufs", b""))
    yield _case(8, "whiteout-directory", HARMLESS, directory(b".wh.d"), file(b".wh.d/x"))
    yield _case(8, "hardlink-named-whiteout", HARMLESS, file(b"f"), hardlink(b".wh.g", b"f"))
    yield _case(8, "hardlink-to-whiteout", REFUSED, file(b".wh.f", b""), hardlink(b"g", b"f"))
    opaque = file(b"d/.wh..wh..opq", b"")
    many = [file(b"d/f%d" % n, b"") for n in range(2_000)] + [opaque] * 4_000
    yield _case(9, "repeated-opaque", HARMLESS, *many)


def _attributes() -> Iterator[Case]:
    """Rows 10 to 12: extended attributes, privileges, special files."""
    for key in (b"opaque", b"redirect", b"metacopy", b"origin", b"whiteout"):
        for space in (b"trusted", b"user"):
            record = {b"SCHILY.xattr." + space + b".overlay." + key: b"/etc"}
            yield _case(
                10, f"{space.decode()}-{key.decode()}", HARMLESS, pax(record), directory(b"d")
            )
    yield _case(10, "device-0-0", REFUSED, member(b"x", flag=b"3"))
    yield _case(11, "setuid", HARMLESS, member(b"su", b"x", mode=b"0006755\0"))
    huge = {b"SCHILY.xattr.security.ima": b"i" * 70_000}
    yield _case(11, "huge-attribute", REFUSED, pax(huge), file(b"x"))
    capability = {b"SCHILY.xattr.security.capability": bytes.fromhex("01000002" + "ff" * 16)}
    yield _case(11, "capability", HARMLESS, pax(capability), file(b"x"))
    named = {b"SCHILY.xattr.user." + b"n" * 300: b"v"}
    yield _case(11, "long-attribute-name", REFUSED, pax(named), file(b"x"))
    nodes = [(b"3", (1, 1)), (b"4", (8, 0)), (b"4", (259, 0)), (b"6", (0, 0))]
    for flag, device in nodes:
        name = f"node-{flag.decode()}-{device[0]}"
        yield _case(12, name, HARMLESS, member(b"Dockerfile", flag=flag, device=device))
        yield _case(
            12, f"{name}-with-data", REFUSED, member(b"n", b"data", flag=flag, device=device)
        )
    yield _case(12, "unknown-type", REFUSED, member(b"x", flag=b"Z"))
    yield _case(12, "gnu-dump", REFUSED, member(b"x", b"Yf\0", flag=b"D"))


def _headers() -> Iterator[Case]:
    """Rows 13 to 15: two views of one archive, numbers that hang readers, odd text."""
    smuggled = file(b"smuggled")
    size = b"%d" % len(smuggled)
    yield _case(13, "pax-larger", HARMLESS, pax({b"size": size}), member(b"f"), smuggled)
    yield _case(13, "pax-zero", HARMLESS, pax({b"size": b"0"}), member(b"f", smuggled))
    yield _case(
        13,
        "pax-then-gnu-name",
        REFUSED,
        pax({b"path": b"one"}),
        long_name(b"two"),
        file(b"three"),
    )
    yield _case(13, "two-pax", REFUSED, pax({b"path": b"a"}), pax({b"path": b"b"}), file(b"c"))
    yield _case(13, "size-of-directory", REFUSED, member(b"d", smuggled, flag=b"5"))
    yield _case(13, "size-of-link", REFUSED, member(b"l", smuggled, flag=b"2", target=b"x"))
    yield _case(13, "pax-size-of-directory", REFUSED, pax({b"size": b"512"}), directory(b"d"))
    yield _case(13, "global-path", HARMLESS, pax({b"path": b"../x"}, b"g"), file(b"fine"))
    for n, body in enumerate(
        (b"0 path=x\n", b"-5 path=x\n", b"99999 path=x\n", b"path=x\n", b"9 path=x", b"5 =x\n",
         b"9" * 1000 + b" a=b\n", b" 9 a=b\n", b"6 path\n", b"\n", b"3 \n")
    ):  # fmt: skip
        yield _case(14, f"pax-record-{n}", REFUSED, pax(body), file(b"x"))
    yield from _numbers()
    yield from _text()


def _numbers() -> Iterator[Case]:
    yield _case(14, "negative-size", REFUSED, member(b"x", size=b"\xff" * 12))
    yield _case(14, "huge-size", REFUSED, member(b"x", size=b"\x80" + b"\x7f" * 11))
    yield _case(14, "digits", REFUSED, pax({b"size": b"1" * 100_000}), file(b"x"))
    yield _case(14, "letters", REFUSED, member(b"x", size=b"12x4\0       "))
    yield _case(14, "underscore", REFUSED, member(b"x", mode=b"0_00644\0"))
    yield _case(14, "wrong-checksum", REFUSED, member(b"x", checksum=b"000000\0 "))
    yield Case(14, "truncated-header", REFUSED, lambda v: file(b"x")[:300])
    yield Case(14, "truncated-data", REFUSED, lambda v: member(b"x", bytes(5000))[:2000])
    yield Case(14, "truncated-extension", REFUSED, lambda v: pax({b"path": b"y" * 900})[:700])
    yield Case(14, "nothing", HARMLESS, lambda v: b"")
    yield Case(14, "noise", REFUSED, lambda v: bytes(range(1, 256)) * 20)
    yield _case(14, "huge-time", REFUSED, pax({b"mtime": b"9" * 19}), file(b"x"))
    yield _case(14, "time-is-text", REFUSED, pax({b"mtime": b"1.x"}), file(b"x"))


def _text() -> Iterator[Case]:
    yield _case(15, "number-as-name", HARMLESS, pax({b"path": b"12345"}), file(b"x"))
    yield _case(15, "invalid-utf8", HARMLESS, pax({b"path": b"\xff\xfe\x80"}), file(b"x"))
    yield _case(15, "surrogate-bytes", HARMLESS, pax({b"path": b"\xed\xa0\x80"}), file(b"x"))
    yield _case(15, "zero-in-gnu-name", REFUSED, long_name(b"a\0b"), file(b"x"))
    yield _case(15, "zero-in-link", REFUSED, pax({b"linkpath": b"a\0b"}), symlink(b"l", b"x"))
    yield _case(15, "empty-name", REFUSED, file(b""))


def _sizes() -> Iterator[Case]:
    """Rows 16 and 18: memory, and what sparse files claim.  Row 17 is about compression."""
    yield _case(16, "huge-name", REFUSED, pax({b"path": b"n" * (2 << 20)}), file(b"x"))
    yield _case(16, "huge-gnu-name", REFUSED, long_name(b"n" * (2 << 20)), file(b"x"))
    claimed = b"%011o\0" % (1 << 30)
    yield _case(16, "claimed-gigabyte", REFUSED, member(b"x", flag=b"x", size=claimed))
    records = b"".join(b"11 k%04d=v\n" % (n % 10_000) for n in range(90_000))
    yield _case(16, "many-records", HARMLESS, pax(records), file(b"x"))
    yield _case(16, "chain-of-extensions", REFUSED, *[long_name(b"n" * 60_000)] * 40, file(b"x"))

    def sparse(numbers: bytes, real: bytes, content: bytes = b"") -> bytes:
        said = {b"GNU.sparse.map": numbers, b"GNU.sparse.size": real, b"GNU.sparse.numblocks": b"1"}
        return pax(said) + member(b"sparse", content)

    data = bytes(BLOCK)
    yield _case(18, "eight-exbibytes", REFUSED, sparse(b"0,512", b"%d" % (1 << 63), data))
    yield _case(18, "overlap", REFUSED, sparse(b"0,512,256,512", b"4096", data * 2))
    yield _case(18, "backwards", REFUSED, sparse(b"1024,512,0,512", b"4096", data * 2))
    yield _case(18, "outside", REFUSED, sparse(b"4000,512", b"4096", data))
    yield _case(18, "more-than-stored", REFUSED, sparse(b"0,4096", b"4096", data))
    yield _case(18, "odd-map", REFUSED, sparse(b"0,512,9", b"4096", data))
    yield _case(18, "no-number", REFUSED, sparse(b"0,x", b"4096", data))
    yield _case(18, "no-size", REFUSED, pax({b"GNU.sparse.map": b"0,512"}), member(b"s", data))
    one = {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"512"}
    yield _case(18, "endless-map", REFUSED, pax(one), member(b"s", b"9" * 5120))
    yield _case(18, "million-pieces", REFUSED, pax(one), member(b"s", b"9999999\n".ljust(512)))
    yield _case(18, "empty-map", REFUSED, pax(one), member(b"s", b""))


def _names() -> Iterator[Case]:
    """Rows 19 and 20: one name for several things, and names at the limits."""
    a = b"a"
    yield _case(19, "all-kinds", HARMLESS, file(a), directory(a), symlink(a, b"b"), file(b"a/x"))
    yield _case(19, "file-then-below", HARMLESS, file(a), file(b"a/x"))
    yield _case(19, "link-then-directory", HARMLESS, symlink(a, b"b"), directory(a), file(b"a/x"))
    yield _case(19, "directory-then-link", HARMLESS, file(b"a/x"), symlink(a, b"."), file(b"a/y"))
    yield _case(19, "link-to-itself", REFUSED, file(a), hardlink(a, a))
    yield _case(20, "unicode-forms", HARMLESS, file("é".encode()), file("é".encode()))
    yield _case(20, "255-bytes", HARMLESS, pax({b"path": b"n" * 255}), file(b"x"))
    yield _case(20, "256-bytes", REFUSED, pax({b"path": b"n" * 256}), file(b"x"))
    yield _case(20, "forty-deep", HARMLESS, pax({b"path": b"/".join([b"d"] * 40)}), file(b"x"))
    deep = b"/".join([b"d"] * 1000)
    yield _case(20, "thousand-deep", HARMLESS, pax({b"path": deep}), file(b"x"))
    links = [hardlink(b"l%d" % n, b"f") for n in range(1, 5_000)]
    yield _case(20, "five-thousand-links", HARMLESS, file(b"f"), *links)
    every = [file(bytes([n])) for n in range(1, 256) if n not in b"/."]
    yield _case(20, "every-byte", HARMLESS, *every)
    yield _case(20, "large-owner", HARMLESS, member(b"x", uid=b"\x80\0\0\0\x7f\xff\xff\xff"))
    yield _case(20, "impossible-owner", REFUSED, member(b"x", uid=b"\x80\0\0\1\0\0\0\0"))
