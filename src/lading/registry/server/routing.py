"""Which endpoint a path is, and what right it takes.

Names of repositories have slashes, and may have the very words of the endpoints: the last
match counts, and the name is parsed before anything is looked up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lading.errors import NotFound, Unsupported
from lading.registry.server import blob_calls, listing_calls, manifest_calls, names, upload_calls
from lading.registry.server.call import Handler


class NoSuchPage(NotFound):
    """Raised for a path that is no endpoint."""

    def __init__(self) -> None:
        super().__init__("page not found")


class NoSuchMethod(Unsupported):
    """Raised for a method that the endpoint does not have."""

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{method[:20]} is not supported here: {', '.join(allowed)} are")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers one method of one path, and the right that it takes on the repository."""

    name: str
    handler: Handler
    action: str = ""


_UPLOADS = {"POST": Endpoint("upload begun", upload_calls.begin, "push")}
_UPLOAD = {
    "GET": Endpoint("upload status", upload_calls.status, "push"),
    "PATCH": Endpoint("upload appended", upload_calls.append, "push"),
    "PUT": Endpoint("blob pushed", upload_calls.finish, "push"),
    "DELETE": Endpoint("upload cancelled", upload_calls.cancel, "push"),
}
_BLOB = {
    "GET": Endpoint("blob pulled", blob_calls.get, "pull"),
    "HEAD": Endpoint("blob looked at", blob_calls.get, "pull"),
    "DELETE": Endpoint("blob deleted", blob_calls.delete, "delete"),
}
_MANIFEST = {
    "GET": Endpoint("manifest pulled", manifest_calls.get, "pull"),
    "HEAD": Endpoint("manifest looked at", manifest_calls.get, "pull"),
    "PUT": Endpoint("manifest pushed", manifest_calls.put, "push"),
    "DELETE": Endpoint("manifest deleted", manifest_calls.delete, "delete"),
}
_TAGS = {"GET": Endpoint("tags listed", listing_calls.tags, "pull")}
_REFERRERS = {"GET": Endpoint("referrers listed", manifest_calls.referrers, "pull")}
_CATALOG = {"GET": Endpoint("repositories listed", listing_calls.catalog)}
_VERSION = {
    "GET": Endpoint("version checked", listing_calls.version),
    "HEAD": Endpoint("version checked", listing_calls.version),
}

_TABLE: Sequence[tuple[re.Pattern[str], Mapping[str, Endpoint]]] = tuple(
    (re.compile(pattern, re.DOTALL), methods)
    for pattern, methods in (
        (r"/v2/?", _VERSION),
        (r"/v2/_catalog", _CATALOG),
        (r"/v2/(?P<name>.*)/blobs/uploads/?", _UPLOADS),
        (r"/v2/(?P<name>.*)/blobs/uploads/(?P<id>[^/]+)", _UPLOAD),
        (r"/v2/(?P<name>.*)/blobs/(?P<digest>[^/]+)", _BLOB),
        (r"/v2/(?P<name>.*)/manifests/(?P<reference>[^/]+)", _MANIFEST),
        (r"/v2/(?P<name>.*)/tags/list/?", _TAGS),
        (r"/v2/(?P<name>.*)/referrers/(?P<digest>[^/]+)", _REFERRERS),
    )
)


def find(method: str, path: str) -> tuple[Endpoint, Mapping[str, str]]:
    """The endpoint, and the parts of the path; NoSuchPage, NoSuchMethod, InvalidName."""
    for pattern, methods in _TABLE:
        found = pattern.fullmatch(path)
        if found is None:
            continue
        params = found.groupdict()
        if "name" in params:
            names.repository(params["name"])
        if method not in methods:
            raise NoSuchMethod(method, sorted(methods))
        return methods[method], params
    raise NoSuchPage
