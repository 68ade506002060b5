"""Registries: the client that speaks to them, and the server that is one."""
