import os
import shutil
import socket

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub
os.environ["MPLBACKEND"] = "agg"  # before anything imports matplotlib

import pytest
import tiny
from hypothesis import settings

# The time of an example depends on the machine, so there is no deadline.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("many", deadline=None)
settings.load_profile("default")


@pytest.fixture(scope="session", autouse=True)
def tiny_encoder():
    """Write the tiny encoder for the session and return its directory."""
    if not os.path.exists(tiny.ENCODER):
        made = tiny.save_tiny_encoder(f"{tiny.ENCODER}-{os.getpid()}")
        try:
            os.rename(made, tiny.ENCODER)
        except OSError:  # another process of the run was first
            shutil.rmtree(made)
    return tiny.ENCODER


def pytest_sessionfinish(session):
    """Remove the tiny encoder when all processes of the run have finished."""
    if not hasattr(session.config, "workerinput"):
        shutil.rmtree(tiny.ENCODER, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def no_network():
    """Raise an error for each connection to another machine."""
    connect = socket.socket.connect

    def refuse(self, address):
        if self.family == getattr(socket, "AF_UNIX", None):
            return connect(self, address)
        raise OSError(f"the tests refuse to connect to {address}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Use one thread, because the tiny encoder is slower with two."""
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def small():
    """Return parameters of a classifier that fits quickly."""
    return dict(tiny.PARAMETERS)


@pytest.fixture
def no_stores(monkeypatch):
    """Start with an empty cache in memory."""
    from sklearn_attnft._cache import _stores

    monkeypatch.setattr(_stores, "_STORES", {})


@pytest.fixture(params=["memory", "directory"])
def cache(request, tmp_path):
    """Return both kinds of values of the parameter `cache`."""
    return "memory" if request.param == "memory" else tmp_path / "cache"
