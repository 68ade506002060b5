"""What containers are called: what a name may be, and names for those that were given none."""

from __future__ import annotations

import re
import secrets

from lading.errors import Invalid

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_LONGEST = 255
_ADJECTIVES = """
able agile amber ample bold brave bright brisk calm candid clear clever coastal crisp daring
deft eager early earnest fair fleet fond frank gallant gentle glad golden grand hardy hearty
honest humble jolly keen kind level light lively loyal lucid lucky mellow merry mighty misty
modest neat nimble noble northern patient placid plucky proud quick quiet ready regal robust
salty serene sharp silver sleek smart smooth snug sober solid southern spry stable steady
stout sturdy subtle sunny swift tidal tidy trim trusty upbeat valiant vast vivid warm western
windward witty zesty
"""
_NOUNS = """
anchor anson baffin baret barque beacon beaufort bering binnacle bosun bowditch bowline brig
bulwark buoy cabot capstan caravel cargo carrack cartier champlain cleat clipper cog compass
cook corsair coxswain cutter dampier davit dhow dinghy drake equiano ferry fitzroy flinders
frigate frobisher galleon galley gama harbour hawser helm henson hudson humboldt junk keel
ketch lateen laperouse lighter lugger magellan mainsail mast mercator mizzen moore nansen
nordkapp packet pilot pinnace porter prow quay raft rigging rudder schooner scow sextant shanty
sloop spar steersman stevedore tasman tender topsail torres tramp trawler vancouver vespucci
wherry wharf windlass xebec yawl zheng
"""
_FIRST = tuple(_ADJECTIVES.split())
_SECOND = tuple(_NOUNS.split())


class InvalidName(Invalid):
    """Raised for what no container can be called, in Docker's words."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Invalid container name ({name[:300]}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )


def check(name: str) -> str:
    """*name* without the slash that it may begin with; InvalidName."""
    bare = name.removeprefix("/")
    if not _NAME.fullmatch(bare) or len(bare) > _LONGEST:
        raise InvalidName(name)
    return bare


def invent() -> str:
    """A name that people can say, such as ``brisk_clipper``."""
    return f"{secrets.choice(_FIRST)}_{secrets.choice(_SECOND)}"
