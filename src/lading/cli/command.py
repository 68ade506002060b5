"""What a command is: its words, its flags, what it takes, and what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lading.cli.faults import Misuse
from lading.cli.flags import Arguments, Flag, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lading.cli.client import Client

    Run = Callable[[Arguments, Client], int] | None

ANY = 1_000_000


class Command:
    """One verb of the command line.

    *usage* is what follows the name in its help; *operands* says how many it takes, least
    and most; *example* is a whole line the user could type; *complete* names the kind of
    things its operands are.  *run* is None for the daemon alone, which the caller runs.
    """

    __slots__ = (
        "complete",
        "detail",
        "example",
        "flags",
        "interspersed",
        "least",
        "most",
        "run",
        "usage",
    )

    def __init__(
        self,
        run: Run,
        usage: str,
        *,
        example: str,
        flags: Sequence[Flag] = (),
        operands: tuple[int, int] = (0, 0),
        interspersed: bool = True,
        detail: str = "",
        complete: str = "",
    ) -> None:
        self.run = run
        self.usage = usage
        self.example = example
        self.flags = tuple(flags)
        self.least, self.most = operands
        self.interspersed = interspersed
        self.detail = detail
        self.complete = complete

    def parse(self, words: Sequence[str]) -> Arguments:
        """The command line's meaning for this command; Misuse when it has none."""
        arguments = parse(self.flags, words, interspersed=self.interspersed)
        if not self.least <= len(arguments.operands) <= self.most:
            raise Misuse(self._wanted(), 1)
        return arguments

    def _wanted(self) -> str:
        def count(number: int) -> str:
            return f"{number} argument" if number == 1 else f"{number} arguments"

        if self.most == 0:
            return "accepts no arguments"
        if self.most >= ANY:
            return f"requires at least {count(self.least)}"
        if self.least == 0:
            return f"requires at most {count(self.most)}"
        if self.least < self.most:
            return f"requires at least {self.least} and at most {count(self.most)}"
        return f"requires {count(self.least)}"
