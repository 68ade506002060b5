"""``lading``: join the command line with the daemon, and import neither before it is needed."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` costs 4 ms of each command's start
if TYPE_CHECKING:
    from lading.settings import Settings


def main() -> int:
    """Run the command in `sys.argv`; answers the exit code."""
    from lading import cli

    return cli.main(sys.argv[1:], serve=_serve)


def _serve(settings: Settings) -> int:
    from lading import api

    return api.serve(settings)


if __name__ == "__main__":
    sys.exit(main())
