"""Every path that is answered, and by whom; among several that fit the first wins."""

from __future__ import annotations

from lading.api import (
    absent,
    attach,
    builds,
    checking,
    commit,
    container_list,
    containers,
    disk_usage,
    events,
    execs,
    files,
    image_streams,
    images,
    logs,
    networks,
    own,
    sharing,
    stats,
    system,
    volumes,
)

ROUTES = (
    *system.ROUTES,
    *containers.ROUTES,
    *container_list.ROUTES,
    *attach.ROUTES,
    *logs.ROUTES,
    *execs.ROUTES,
    *stats.ROUTES,
    *files.ROUTES,
    *commit.ROUTES,
    *sharing.ROUTES,
    *builds.ROUTES,
    *image_streams.ROUTES,
    *images.ROUTES,
    *volumes.ROUTES,
    *networks.ROUTES,
    *events.ROUTES,
    *disk_usage.ROUTES,
    *own.ROUTES,
    *checking.ROUTES,
    *absent.ROUTES,
)
