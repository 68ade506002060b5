"""The flags of ``run`` and ``create``, with Docker's names.

A flag marked as refused is one of Docker's that lading does not have yet.
"""

from __future__ import annotations

from lading.cli.flags import LIST, NUMBER, SWITCH, TEXT, Flag
from lading.cli.options.limits import (
    ADDRESSES,
    BYTES,
    COUNTS,
    CPUS,
    DEVICE_RULES,
    DURATION,
    HOSTS,
    RATES,
    STREAMS,
    SWAP,
    SYSCTLS,
    ULIMITS,
    WEIGHT,
    WEIGHTS,
)

_PULL = 'Pull image before running ("always", "missing", "never")'

_PROCESS = (
    Flag("attach", STREAMS, "Attach to STDIN, STDOUT or STDERR", short="a"),
    Flag("entrypoint", TEXT, "Overwrite the default ENTRYPOINT of the image"),
    Flag("env", LIST, "Set environment variables", short="e", values="variables"),
    Flag("env-file", LIST, "Read in a file of environment variables", values="files"),
    Flag("init", SWITCH, "Run an init inside the container that forwards signals and reaps"),
    Flag("interactive", SWITCH, "Keep STDIN open even if not attached", short="i"),
    Flag("stop-signal", TEXT, "Signal to stop the container"),
    Flag("stop-timeout", NUMBER, "Timeout (in seconds) to stop a container"),
    Flag("tty", SWITCH, "Allocate a pseudo-TTY", short="t"),
    Flag("user", TEXT, "Username or UID (format: <name|uid>[:<group|gid>])", short="u"),
    Flag("workdir", TEXT, "Working directory inside the container", short="w"),
)
_CONTAINER = (
    Flag("annotation", LIST, "Add an annotation to the container (passed through to the runtime)"),
    Flag("cidfile", TEXT, "Write the container ID to the file", values="files"),
    Flag("label", LIST, "Set meta data on a container", short="l"),
    Flag("label-file", LIST, "Read in a line delimited file of labels", values="files"),
    Flag("log-driver", TEXT, "Logging driver for the container"),
    Flag("log-opt", LIST, "Log driver options"),
    Flag("name", TEXT, "Assign a name to the container"),
    Flag("platform", TEXT, "Set platform if the image has several"),
    Flag("pull", TEXT, _PULL, default="missing", values=("always", "missing", "never")),
    Flag("quiet", SWITCH, "Suppress the pull output", short="q"),
    Flag("restart", TEXT, "Restart policy to apply when a container exits", default="no",
         values=("no", "always", "unless-stopped", "on-failure")),
    Flag("rm", SWITCH, "Automatically remove the container when it exits"),
    Flag("runtime", TEXT, "Runtime to use for this container"),
    Flag("disable-content-trust", SWITCH, "Skip image verification", default=True, hidden=True),
)  # fmt: skip
_MOUNTS = (
    Flag("mount", LIST, "Attach a filesystem mount to the container"),
    Flag("read-only", SWITCH, "Mount the container's root filesystem as read only"),
    Flag("shm-size", BYTES, "Size of /dev/shm"),
    Flag("storage-opt", LIST, "Storage driver options for the container", refused=True),
    Flag("tmpfs", LIST, "Mount a tmpfs directory"),
    Flag("volume", LIST, "Bind mount a volume", short="v", values="files"),
    Flag("volume-driver", TEXT, "Optional volume driver for the container"),
    Flag(
        "volumes-from", LIST, "Mount volumes from the specified container(s)", values="containers"
    ),
)
_NETWORK = (
    Flag("add-host", HOSTS, "Add a custom host-to-IP mapping (host:ip)"),
    Flag("dns", ADDRESSES, "Set custom DNS servers"),
    Flag("dns-opt", LIST, "Set DNS options", same="dns-option", hidden=True),
    Flag("dns-option", LIST, "Set DNS options"),
    Flag("dns-search", LIST, "Set custom DNS search domains"),
    Flag("domainname", TEXT, "Container NIS domain name"),
    Flag("expose", LIST, "Expose a port or a range of ports"),
    Flag("hostname", TEXT, "Container host name", short="h"),
    Flag("ip", TEXT, "IPv4 address (e.g., 172.30.100.104)"),
    Flag("ip6", TEXT, "IPv6 address (e.g., 2001:db8::33)"),
    Flag("link", LIST, "Add link to another container of the same user network"),
    Flag("link-local-ip", LIST, "Container link-local addresses", refused=True),
    Flag("mac-address", TEXT, "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    Flag("net", LIST, "Connect a container to a network", same="network", hidden=True),
    Flag("net-alias", LIST, "Add network-scoped alias", same="network-alias", hidden=True),
    Flag("network", LIST, "Connect a container to a network", values="networks"),
    Flag("network-alias", LIST, "Add network-scoped alias for the container"),
    Flag("publish", LIST, "Publish a container's port(s) to the host", short="p"),
    Flag("publish-all", SWITCH, "Publish all exposed ports to random ports", short="P"),
)
_SECURITY = (
    Flag("cap-add", LIST, "Add Linux capabilities"),
    Flag("cap-drop", LIST, "Drop Linux capabilities"),
    Flag("cgroup-parent", TEXT, "Optional parent cgroup for the container"),
    Flag("cgroupns", TEXT, "Cgroup namespace to use (host|private)", values=("host", "private")),
    Flag("device", LIST, "Add a host device to the container", values="files"),
    Flag("device-cgroup-rule", DEVICE_RULES, "Add a rule to the cgroup allowed devices list"),
    Flag("gpus", TEXT, "GPU devices to add to the container", refused=True),
    Flag("group-add", LIST, "Add additional groups to join"),
    Flag("ipc", TEXT, "IPC mode to use"),
    Flag("isolation", TEXT, "Container isolation technology", refused=True),
    Flag("pid", TEXT, "PID namespace to use"),
    Flag("privileged", SWITCH, "Give extended privileges to this container"),
    Flag("security-opt", LIST, "Security Options"),
    Flag("sysctl", SYSCTLS, "Sysctl options"),
    Flag("use-api-socket", SWITCH, "Bind mount the API socket", refused=True),
    Flag("userns", TEXT, "User namespace to use"),
    Flag("uts", TEXT, "UTS namespace to use"),
)
_RESOURCES = (
    Flag(
        "blkio-weight", WEIGHT, "Block IO (relative weight), between 10 and 1000, or 0 to disable"
    ),
    Flag("blkio-weight-device", WEIGHTS, "Block IO weight (relative device weight)"),
    Flag("cpu-count", NUMBER, "CPU count (Windows only)", refused=True),
    Flag("cpu-percent", NUMBER, "CPU percent (Windows only)", refused=True),
    Flag("cpu-period", NUMBER, "Limit CPU CFS (Completely Fair Scheduler) period"),
    Flag("cpu-quota", NUMBER, "Limit CPU CFS (Completely Fair Scheduler) quota"),
    Flag("cpu-rt-period", NUMBER, "Limit CPU real-time period", refused=True),
    Flag("cpu-rt-runtime", NUMBER, "Limit CPU real-time runtime", refused=True),
    Flag("cpu-shares", NUMBER, "CPU shares (relative weight)", short="c"),
    Flag("cpus", CPUS, "Number of CPUs"),
    Flag("cpuset-cpus", TEXT, "CPUs in which to allow execution (0-3, 0,1)"),
    Flag("cpuset-mems", TEXT, "MEMs in which to allow execution (0-3, 0,1)"),
    Flag("device-read-bps", RATES, "Limit read rate (bytes per second) from a device"),
    Flag("device-read-iops", COUNTS, "Limit read rate (IO per second) from a device"),
    Flag("device-write-bps", RATES, "Limit write rate (bytes per second) to a device"),
    Flag("device-write-iops", COUNTS, "Limit write rate (IO per second) to a device"),
    Flag("io-maxbandwidth", BYTES, "Maximum IO bandwidth (Windows only)", refused=True),
    Flag("io-maxiops", NUMBER, "Maximum IOps limit (Windows only)", refused=True),
    Flag("kernel-memory", BYTES, "Kernel memory limit", refused=True),
    Flag("memory", BYTES, "Memory limit", short="m"),
    Flag("memory-reservation", BYTES, "Memory soft limit"),
    Flag(
        "memory-swap", SWAP, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"
    ),
    Flag("memory-swappiness", NUMBER, "Tune container memory swappiness (0 to 100)", default=-1),
    Flag("oom-kill-disable", SWITCH, "Disable OOM Killer"),
    Flag("oom-score-adj", NUMBER, "Tune host's OOM preferences (-1000 to 1000)"),
    Flag("pids-limit", NUMBER, "Tune container pids limit (set -1 for unlimited)"),
    Flag("ulimit", ULIMITS, "Ulimit options"),
)
_HEALTH = (
    Flag("health-cmd", TEXT, "Command to run to check health"),
    Flag("health-interval", DURATION, "Time between running the check (ms|s|m|h)"),
    Flag("health-retries", NUMBER, "Consecutive failures needed to report unhealthy"),
    Flag("health-start-interval", DURATION, "Time between checks during the start period"),
    Flag("health-start-period", DURATION, "Start period before health-retries countdown"),
    Flag("health-timeout", DURATION, "Maximum time to allow one check to run (ms|s|m|h)"),
    Flag("no-healthcheck", SWITCH, "Disable any container-specified HEALTHCHECK"),
)

FLAGS = (*_PROCESS, *_CONTAINER, *_MOUNTS, *_NETWORK, *_SECURITY, *_RESOURCES, *_HEALTH)
