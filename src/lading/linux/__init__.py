"""The kernel: mounts, namespaces, paths, control groups, processes."""
