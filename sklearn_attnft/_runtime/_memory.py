# SPDX-License-Identifier: BSD-3-Clause
"""Memory that this process can use to store results."""

from pathlib import Path

import joblib
import torch

MINIMUM = 2 * 2**30
ROOT = Path("/")
# Files with the limit and the use of a control group, in versions 2 and 1 of Linux's
# control groups.
CONTROL_FILES = {
    "memory.max": "memory.current",
    "memory.limit_in_bytes": "memory.usage_in_bytes",
}


def memory_share():
    """Return the bytes of memory that this process can use to store results.

    The result is half of the available memory, multiplied by this process's share of
    the cores, because joblib divides the cores among its worker processes. It is at
    least `MINIMUM`, also on systems that do not tell how much memory is available.
    """
    cores = min(1, torch.get_num_threads() / joblib.cpu_count())
    return max(MINIMUM, int(available_memory() / 2 * cores))


def available_memory():
    """Return the bytes of memory that this process can allocate, or 0 if unknown.

    The limits of a container or of a job on a cluster count too.
    """
    try:
        lines = (ROOT / "proc/meminfo").read_text().splitlines()
        groups = (ROOT / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return 0
    fields = dict(line.split(":", 1) for line in lines)
    available = 1024 * int(fields["MemAvailable"].split()[0])
    return max(0, min([available, *_rooms(groups)]))


def _rooms(groups):
    """Yield the bytes that are left of the limit of each control group."""
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = ROOT / "sys/fs/cgroup" / controllers
        group = top / path.lstrip("/")
        for directory in (group, *group.parents):
            for limit, usage in CONTROL_FILES.items():
                room = _room(directory / limit, directory / usage)
                if room is not None:
                    yield room
            if directory == top:
                break


def _room(limit, usage):
    """Return the limit minus the use, or None if there is no limit."""
    try:
        limit, usage = limit.read_text().strip(), int(usage.read_text())
    except OSError:  # these files do not exist in this directory
        return None
    return None if limit == "max" else int(limit) - usage
