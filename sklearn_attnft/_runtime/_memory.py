# SPDX-License-Identifier: BSD-3-Clause
"""Memory that a process can use to store results."""

from pathlib import Path

import joblib
import torch

# Bytes that a process can use if the available memory is unknown.
DEFAULT_LIMIT = 2 * 2**30
ROOT = Path("/")
# Files of a control group of Linux, in versions 2 and 1: the limit, the use, and the
# name in memory.stat of the cached files, which Linux removes if it needs memory.
CONTROL_FILES = [
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
]


def storage_limit():
    """Return the bytes of memory that this process can use to store results.

    The limit is half of the available memory, multiplied by the fraction of the cores
    that this process uses, because joblib divides the cores among its worker processes.
    A process that uses few cores can still use `DEFAULT_LIMIT` bytes, but at most a
    quarter of the available memory.
    """
    available = available_memory()
    if available is None:
        return DEFAULT_LIMIT
    cores = min(1, torch.get_num_threads() / joblib.cpu_count())
    return max(int(available / 2 * cores), min(DEFAULT_LIMIT, available // 4))


def available_memory():
    """Return the bytes of memory that this process can allocate, or None if unknown.

    The limits of control groups count too. Containers and clusters use control groups.
    """
    fields = _fields(ROOT / "proc/meminfo")
    if "MemAvailable:" not in fields:  # not Linux, or Linux before 3.14
        return None
    return max(0, min([1024 * fields["MemAvailable:"], *_rooms()]))


def _fields(path):
    """Return the numbers of a file that has a name and a number in each line."""
    try:
        lines = path.read_text().splitlines()
    except OSError:  # the file does not exist
        return {}
    pairs = [line.split()[:2] for line in lines if line.strip()]
    return {name: int(number) for name, number in pairs}


def _rooms():
    """Yield the bytes that each control group of this process can still allocate."""
    try:
        lines = (ROOT / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # the kernel has no control groups
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = ROOT / "sys/fs/cgroup" / controllers
        group = top / path.lstrip("/")
        for directory in (group, *group.parents):
            yield from _rooms_of(directory)
            if directory == top:
                break


def _rooms_of(directory):
    """Yield the bytes that a control group can still allocate, if it has a limit."""
    for limit, usage, cached in CONTROL_FILES:
        try:
            limit = (directory / limit).read_text().strip()
            usage = int((directory / usage).read_text())
        except OSError:  # the other version, or a directory without limits
            continue
        if limit != "max":
            reclaimable = _fields(directory / "memory.stat").get(cached, 0)
            yield int(limit) - usage + reclaimable
