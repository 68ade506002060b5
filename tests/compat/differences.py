"""Where lading answers otherwise than Docker Engine, each with its reason: for test and page."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One entry of the table in docs/api.md.

    *requests* is a pattern for the requests' names, *differences* one for what is found.
    """

    where: str
    what: str
    why: str
    requests: str
    differences: str

    def explains(self, request: str, difference: str) -> bool:
        found = re.search(self.requests, request)
        return bool(found and re.search(self.differences, difference))


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "what the client did wrong",
        "400, not 500",
        "Docker 20.10 often calls it an error of its own; later versions mostly do not",
        r"",
        r"^status 400, not 500",
    ),
    Difference(
        "options of a container that cannot work",
        "refused when the container is made (400, 404, 501), not when it starts",
        "nobody is left with a container that can never start",
        r"^POST /containers/create",
        r"^status (400|404|501), not 201",
    ),
    Difference(
        "options that Docker refuses as well, but lading by name",
        "501, not 400 or 500",
        "what is not there is refused as that everywhere",
        r"^POST /containers/create",
        r"^status 501, not (400|500)",
    ),
    Difference(
        "options and filters that name a container that is not there",
        "404, not 400 or 500",
        "as everywhere else where a container is not found",
        r"nobody",
        r"^status 404, not (400|500): .*No such container: nobody",
    ),
    Difference(
        "`POST /networks/create`",
        "names are checked as those of containers are",
        "a name that no host can be called is of no use to the names' server",
        r"^POST /networks/create",
        r"^status 400, not 201: .*name",
    ),
    Difference(
        "`POST /networks/{id}/connect` to the host's network, `disconnect` of who is not on it",
        "409, not 400 or 500",
        "it is a state in which that cannot be done",
        r"^POST /networks/(host/connect|n/disconnect)",
        r"^status 409, not (400|500)",
    ),
    Difference(
        "`GET /events` filtered by what there is not",
        "400, not an empty stream",
        "as the lists do",
        r"^GET /events.*nonsense",
        r"^status 400, not 200",
    ),
    Difference(
        "`POST /commit` to a name that is none",
        "no image is made",
        "Docker makes it, fails to name it, and leaves it",
        r"^GET /system/df",
        r"^Images\[\]\.Labels is null, not an object",
    ),
    Difference(
        "an exec that has ended",
        "it is remembered for five minutes",
        "whoever started it may come late to ask how it ended",
        r"^POST /exec/.*/resize",
        r"^status 409, not 404",
    ),
    Difference(
        "JSON with something behind it",
        "400, not success",
        "Docker reads the first value and leaves the rest unseen; nothing is ignored here",
        r"^POST /containers/create \(application/json\)",
        r"^status 400, not 201: .*trailing",
    ),
    Difference(
        "a container that is not paused",
        "409, not 500",
        "it is a state in which that cannot be done, as with `pause`",
        r"/unpause",
        r"^status 409, not 500",
    ),
    Difference(
        "`POST /containers/{id}/wait` for an unknown condition",
        "400, not another condition",
        "later versions of Docker refuse it too; nothing is ignored here",
        r"/wait\?condition=nonsense",
        r"^status 400, not 200",
    ),
    Difference(
        "`POST /images/load` of what is no archive",
        "400, not 200 with an error in the stream",
        "it is noticed before anything was sent",
        r"^POST /images/load",
        r"^status 400, not 200",
    ),
    Difference(
        "`POST /images/{name}/push` without credentials",
        "they are not demanded",
        "a registry may need none; later versions of Docker do not demand them either",
        r"^POST /images/nobody/push$",
        r"^status 200, not 400",
    ),
    Difference(
        "a registry that cannot be reached",
        "503, not 500",
        "it may be reached later: nothing is wrong with this engine",
        r"^(GET /distribution/|POST /auth|POST /images/create)",
        r"^status 503, not 500",
    ),
    Difference(
        "`POST /build/cancel`",
        "404",
        "it belongs to BuildKit; a classic build ends with its connection",
        r"^POST /build/cancel",
        r"^status 404, not 200",
    ),
    Difference(
        "`PUT /volumes/{name}`",
        "503, not 404",
        "Docker knows it since version 1.42, for cluster volumes alone",
        r"^PUT /volumes",
        r"^status 503, not 404",
    ),
    Difference(
        "`GET /containers/{id}/logs`, errors of attach",
        "they say what their content is",
        "as the API's description has it",
        r"/logs\?|/attach",
        r"^content type 'application/",
    ),
    Difference(
        "lists without entries",
        "`[]`, not `null`, for digests of images, caches of builds",
        "as later versions of Docker",
        r"^GET /(images/json|system/df)|^POST /build/prune",
        r"(RepoDigests|BuildCache|CachesDeleted) is a list, not null",
    ),
    Difference(
        "`POST /volumes/create` without labels",
        "an anonymous volume has its label `com.docker.volume.anonymous`",
        "as later versions of Docker",
        r"^POST /volumes/create {}",
        r"^Labels is an object, not null",
    ),
    Difference(
        "`ContainerConfig` of an image",
        "empty where the image does not say it",
        "versions since 1.45 have it no more: it is not written into images",
        r"^GET /images/(made|built)",
        r"^ContainerConfig\.",
    ),
    Difference(
        "`POST /networks/prune` that finds nothing",
        "`null`",
        "there the network with a bad name was removed, which was not made here",
        r"^POST /networks/prune$",
        r"^NetworksDeleted is null",
    ),
)
