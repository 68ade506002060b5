"""The user's credentials for object storage, from where Amazon's tools keep them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = {
    "access_key_id": ("AWS_ACCESS_KEY_ID",),
    "secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "session_token": ("AWS_SESSION_TOKEN",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
}
_FIELDS = {
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
    "region": "region",
    "endpoint": "endpoint_url",
}
_KEYS = ("access_key_id", "secret_access_key", "session_token")


def options(environment: Mapping[str, str]) -> dict[str, str]:
    """What the variables say, and beneath them the files; keys all come from one of the two."""
    told = {
        name: next((environment[each] for each in names if environment.get(each)), "")
        for name, names in _VARIABLES.items()
    }
    filed = _filed(environment)
    if told["access_key_id"]:
        filed = {name: value for name, value in filed.items() if name not in _KEYS}
    return {**filed, **{name: value for name, value in told.items() if value}}


def _filed(environment: Mapping[str, str]) -> dict[str, str]:
    from configparser import Error, RawConfigParser

    folder = f"{environment.get('HOME', '/root')}/.aws"
    profile = environment.get("AWS_PROFILE") or "default"
    files = (
        (environment.get("AWS_CONFIG_FILE") or f"{folder}/config", f"profile {profile}"),
        (environment.get("AWS_CONFIG_FILE") or f"{folder}/config", profile),
        (environment.get("AWS_SHARED_CREDENTIALS_FILE") or f"{folder}/credentials", profile),
    )
    found: dict[str, str] = {}
    for path, section in files:
        parser = RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (Error, UnicodeError):
            continue
        if parser.has_section(section):
            row = dict(parser.items(section))
            found |= {name: row[field] for name, field in _FIELDS.items() if row.get(field)}
    return found
