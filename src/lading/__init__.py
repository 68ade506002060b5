"""A container engine that backs up, restores and migrates a container whole."""

__version__ = "0.1.0"
