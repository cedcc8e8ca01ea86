"""Test how much memory a fit takes for stored results."""

import os

import joblib
import pytest
import torch

from sklearn_attnft._runtime import _memory

GIB = 2**30


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return the root of a file system of a Linux process without limits."""
    monkeypatch.setattr(_memory, "ROOT", tmp_path)
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    kib = 64 * GIB // 1024
    write(tmp_path, "proc/meminfo", f"MemTotal: 9 kB\nMemAvailable:  {kib} kB\n")
    return tmp_path


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(text))


def limit(root, group, n_bytes, used, *, version=2):
    """Write the files of a control group with a limit."""
    directory, names = {
        1: ("sys/fs/cgroup/memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")),
        2: ("sys/fs/cgroup", ("memory.max", "memory.current")),
    }[version]
    for name, value in zip(names, (n_bytes, used), strict=True):
        write(root, f"{directory}{group}/{name}", f"{value}\n")


def test_a_process_without_limits(root):
    assert _memory.available_memory() == 64 * GIB
    limit(root, "", "max", 3)
    assert _memory.available_memory() == 64 * GIB


@pytest.mark.parametrize("place", ["", "/job", "/job/step"])
def test_limits_of_a_group_and_of_those_above_it(root, place):
    write(root, "proc/self/cgroup", "0::/job/step\n")
    limit(root, "/job/step", "max", 3 * GIB)
    limit(root, place, 8 * GIB, 3 * GIB)
    assert _memory.available_memory() == 5 * GIB


@pytest.mark.parametrize("place", ["", "/job/step"])  # inside and outside a container
def test_limits_of_version_1(root, place):
    write(root, "proc/self/cgroup", "4:memory:/job/step\n3:cpu,cpuacct:/a\n0::/\n")
    limit(root, "/job/step", 9223372036854771712, 3, version=1)  # no limit
    limit(root, place, 8 * GIB, 3 * GIB, version=1)
    assert _memory.available_memory() == 5 * GIB


def test_a_limit_of_another_process_does_not_count(root):
    write(root, "proc/self/cgroup", "0::/job\n")
    limit(root, "/other", 8 * GIB, 3 * GIB)
    assert _memory.available_memory() == 64 * GIB


def test_a_limit_that_is_used_up(root):
    limit(root, "", 8 * GIB, 9 * GIB)
    assert _memory.available_memory() == 0


@pytest.mark.parametrize("version", [1, 2])
def test_cached_files_are_available(root, version):
    limit(root, "", 8 * GIB, 7 * GIB, version=version)
    write(root, "proc/self/cgroup", "4:memory:/\n0::/\n")
    directory, name = {
        1: ("sys/fs/cgroup/memory", "total_inactive_file"),
        2: ("sys/fs/cgroup", "inactive_file"),
    }[version]
    write(root, f"{directory}/memory.stat", f"anon 5\n{name} {3 * GIB}\n")
    assert _memory.available_memory() == 4 * GIB


@pytest.mark.parametrize(
    ("available", "threads", "expected"),
    [
        (64, 4, 32),
        (64, 1, 8),
        (64, 9, 32),
        (3, 4, 1.5),
        (12, 1, 2),
        (4, 1, 1),
        (0, 4, 0),
        (None, 4, 2),
    ],
)
def test_the_limit(available, threads, expected, monkeypatch):
    n_bytes = None if available is None else available * GIB
    monkeypatch.setattr(_memory, "available_memory", lambda: n_bytes)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert _memory.storage_limit() == expected * GIB


@pytest.mark.parametrize("text", [None, "MemTotal: 9 kB\n\n"])
def test_systems_that_do_not_tell_the_available_memory(root, text):
    (root / "proc/meminfo").unlink()
    if text is not None:
        write(root, "proc/meminfo", text)
    assert _memory.available_memory() is None


def test_a_kernel_without_control_groups(root):
    (root / "proc/self/cgroup").unlink()
    assert _memory.available_memory() == 64 * GIB


@pytest.mark.skipif(
    not os.path.exists("/proc/meminfo"), reason="reads /proc/meminfo; ends on Linux"
)
def test_this_machine():
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < _memory.available_memory() <= total
