"""A registry: OCI distribution-spec 1.1 over HTTP, blobs in a directory, names in SQLite."""
