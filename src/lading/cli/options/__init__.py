"""The options of ``run`` and ``create``: flags in, the request to create a container out."""
