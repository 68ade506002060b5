"""Containers as processes: the spec, the bundle, the monitor and the OCI runtime."""
