"""Layers made mountable: the `Snapshotter` protocol and its drivers."""
