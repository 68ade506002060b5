"""Where the command line finds the credentials for object storage."""

from __future__ import annotations

from pathlib import Path

from lading.cli.buckets import options


def test_variables_go_before_files(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        "[default]\naws_access_key_id = file\naws_secret_access_key = s3cret\n"
        "aws_session_token = old\n[other]\naws_access_key_id = other\n"
    )
    (tmp_path / ".aws/config").write_text(
        "[default]\nregion = here\n[profile other]\nregion = there\nendpoint_url = https://x\n"
    )
    home = {"HOME": str(tmp_path)}
    assert options(home) == {
        "access_key_id": "file", "secret_access_key": "s3cret", "session_token": "old",
        "region": "here",
    }  # fmt: skip
    assert options({**home, "AWS_PROFILE": "other"}) == {
        "access_key_id": "other", "region": "there", "endpoint": "https://x",
    }  # fmt: skip


def test_keys_of_two_places_are_never_mixed(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("[default]\naws_session_token = old\nregion = here\n")
    found = options({
        "HOME": str(tmp_path),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys"),
        "AWS_ACCESS_KEY_ID": "mine",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_ENDPOINT_URL": "http://one",
        "AWS_ENDPOINT_URL_S3": "http://two",
    })  # fmt: skip
    assert found == {
        "access_key_id": "mine", "secret_access_key": "s", "endpoint": "http://two",
        "region": "here",
    }  # fmt: skip


def test_files_that_are_none_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_bytes(b"\xff no file\n[")
    assert options({"HOME": str(tmp_path)}) == {}
