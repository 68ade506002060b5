"""Dockerfile to image: the language and the plan are pure; steps run through the engine's parts."""
