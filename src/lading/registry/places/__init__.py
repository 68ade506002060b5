"""Places beside registries that images are copied from and to, without an engine."""
