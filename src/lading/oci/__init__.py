"""The OCI and Docker image documents as frozen values; no input or output here."""
