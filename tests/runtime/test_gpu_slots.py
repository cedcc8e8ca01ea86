"""Fits take turns on a GPU. The tests do not need a GPU."""

import multiprocessing
import os
import tempfile
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from sklearn_attnft._runtime import _gpu_slots
from sklearn_attnft._runtime._gpu_slots import N_SLOTS, gpu_slot, slot


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def gpu(monkeypatch):
    """Return a device that poses as a GPU, and the calls to it."""
    done = []
    properties = SimpleNamespace(uuid="GPU-1")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append("emptied"))
    return torch.device("cuda", 0), done


@pytest.mark.parametrize("n", [1, 2])
def test_no_more_at_once_than_there_are_slots(n):
    inside, most, barrier = [], [], threading.Barrier(n)

    def fit():
        with slot("gpu", n):
            inside.append(1)
            most.append(len(inside))
            barrier.wait(30)  # all slots must be in use before one is released
            inside.pop()

    threads = [threading.Thread(target=fit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(most) == 4
    assert max(most) == n


def _hold(directory, connection):
    tempfile.tempdir = directory
    with slot("gpu", 1):
        connection.send("held")
        time.sleep(600)


def test_the_slot_of_a_killed_process_is_free(directory):
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=_hold, args=(str(directory), theirs), daemon=True)
    child.start()
    assert ours.poll(60)
    got = threading.Event()

    def wait():
        with slot("gpu", 1):
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not got.wait(0.5)
    with slot("another gpu", 1):
        child.kill()
    assert got.wait(30)
    waiting.join()
    child.join()


def test_a_fit_within_a_fit_does_not_wait_for_itself(gpu):
    device, done = gpu
    with gpu_slot(device), slot("another gpu", 1), gpu_slot(device):
        pass
    assert done == ["emptied"] * 2
    with gpu_slot(device):  # the slot was released
        pass


def test_siblings_share_the_slots_of_a_gpu(gpu, directory):
    device, _ = gpu
    with gpu_slot(device):
        (file,) = directory.glob("*/*")
    assert file.name == f"{os.getppid()}-GPU-1-0.lock"


def test_a_failing_fit_releases_its_slot(gpu):
    device, done = gpu
    with pytest.raises(MemoryError), gpu_slot(device):
        raise MemoryError
    with gpu_slot(device):
        assert done == ["emptied"]


def test_the_environment_says_how_many(gpu, monkeypatch, directory):
    monkeypatch.setenv(N_SLOTS, "3")
    assert _gpu_slots.n_slots() == 3
    for wrong in ("0", "-1", "all", ""):
        monkeypatch.setenv(N_SLOTS, wrong)
        with pytest.raises(ValueError, match=f"{N_SLOTS}.*got '{wrong}'"):
            gpu_slot(gpu[0]).__enter__()


def test_other_devices_have_no_slots(directory):
    with gpu_slot(torch.device("cpu")):
        assert not list(directory.iterdir())


def test_a_directory_that_is_open_to_others_is_not_used(directory, monkeypatch):
    path = directory / f"sklearn_attnft-{os.getuid()}"
    elsewhere = directory / "elsewhere"
    elsewhere.mkdir()
    path.symlink_to(elsewhere)
    with pytest.raises(ValueError, match="must belong to you"), slot("gpu", 1):
        pytest.fail("it was taken")
    path.unlink()
    path.mkdir()
    path.chmod(0o777)
    with pytest.raises(ValueError, match="must belong to you"), slot("gpu", 1):
        pytest.fail("it was taken")
    another = os.getuid() + 1
    (directory / f"sklearn_attnft-{another}").mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: another)
    with pytest.raises(ValueError, match="must belong to you"), slot("gpu", 1):
        pytest.fail("it was taken")
