# SPDX-License-Identifier: BSD-3-Clause
"""The state of a fit on disk, so that a fit that was killed goes on where it was.

A directory holds the fits of a grid search side by side, each in a folder that is named
by a fingerprint of its parameters and data. A folder has ``fit.json``, which says what
it is, and ``state.pt``, which is written whole or not at all.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .._utils._warnings import warn
from .._version import __version__

# What changes nothing of the fitted model.
_IRRELEVANT = {
    "cache_size",
    "checkpoint_dir",
    "checkpoint_minutes",
    "device",
    "encoder",  # by its content
    "random_state",  # by the seed that it gives
    "verbose",
    "pickle_weights",
}


# Of what a folder says of itself.
_KEYS = {"parameters", "data", "finished", "process"}


@dataclass(frozen=True)
class Fingerprint:
    """What a fit is of.

    Attributes
    ----------
    parameters : dict of str
        From names to values, as text.
    data : str
        sha256 of everything that is learned from.
    """

    parameters: dict
    data: str

    @classmethod
    def of(cls, params, *, seed, encoder, data):
        """Take it from the estimator's parameters and what it is fitted to.

        Parameters
        ----------
        params : dict
        seed : int or None
            None: drawn anew by each fit.
        encoder, data : object
            What is trained, and on what: dataclasses, tuples, dicts, arrays and plain
            values.
        """
        kept = {
            name: _as_text(value)
            for name, value in params.items()
            if name not in _IRRELEVANT
        }
        own = {
            # Where it is says nothing, but its states are those of another company.
            "cache": _as_text(params.get("cache") is not None),
            "encoder": _digest(encoder),
            "random_state": str(seed),
            "version": __version__,
        }
        return cls({**kept, **own}, _digest(data))

    @property
    def name(self):
        """The folder's."""
        text = json.dumps([self.parameters, self.data], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    @property
    def seed(self):
        """One that only this fit has, for those that are not given any."""
        return int(self.name[:8], 16)

    def differences(self, other):
        """Return the names of the parameters in which two fits on like data differ."""
        names = self.parameters.keys() | other.parameters.keys()
        mine, theirs = self.parameters.get, other.parameters.get
        return sorted(name for name in names if mine(name) != theirs(name))


def _as_text(value):
    """Write a parameter's value, the same for the same value of another type."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        items = sorted((_as_text(k), _as_text(v)) for k, v in value.items())
        return "{" + ", ".join(f"{k}: {v}" for k, v in items) + "}"
    if isinstance(value, (list, tuple, np.ndarray)):
        return "[" + ", ".join(map(_as_text, value)) + "]"
    if value is None or isinstance(value, (bool, int, float, str, os.PathLike)):
        return repr(value)
    if isinstance(value, type) or callable(value):
        name = f"{value.__module__}.{getattr(value, '__qualname__', '<')}"
        if "<" not in name:  # a lambda, or a function in a function
            return name
    if hasattr(value, "get_params") and not isinstance(value, type):
        return _as_text(type(value)) + _as_text(value.get_params(deep=False))
    raise ValueError(
        f"checkpoint_dir cannot tell {value!r:.80} from others of its kind, so it "
        "would not know which fit to go on with: set checkpoint_dir=None, or pass "
        "a class or function of a module, or an object with get_params."
    )


def _digest(value):
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest, value):
    """Add data to a digest, each part with its type and length."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"array {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value))
    elif isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        digest.update(b"str %d " % len(text) + text)
    elif dataclasses.is_dataclass(value):
        _feed(
            digest, {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        )
    elif isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: repr(item[0]))
        _feed(digest, [part for item in items for part in item])
    elif isinstance(value, (list, tuple, np.ndarray)):
        digest.update(b"list %d " % len(value))
        for part in value:
            _feed(digest, part)
    else:
        _feed(digest, f"{type(value).__name__} {value!r}")


class ResumeState:
    """Where the state of one fit is kept; without a folder, nowhere.

    A fit has stages, which are counted: each call of ``_training.train`` is one.

    Attributes
    ----------
    folder : Path or None
    minutes : float
        Between two states that are written inside an epoch.
    stages : list of list of dict
        Histories of the stages that are over.
    """

    def __init__(self, folder=None, *, minutes=0.0):
        self.folder = folder
        self.minutes = minutes
        self._saved = _load(folder / "state.pt") if folder is not None else None
        self._stage = -1
        self.stages = []
        self._written = time.monotonic()
        self._is_whole = True  # what was written last is there

    @property
    def is_kept(self):
        """Whether states are written at all."""
        return self.folder is not None

    @property
    def is_resuming(self):
        """Whether a state was found that training is yet to reach."""
        return self._saved is not None

    @property
    def has_next_stage(self):
        """Whether the stage that is next was trained to its end."""
        saved, next_stage = self._saved, self._stage + 1
        if saved is None:
            return False
        is_over = saved["stage"] > next_stage
        return is_over or (saved["stage"] == next_stage and "rows" in saved)

    def next_stage(self):
        """Begin a stage; return what is known of it.

        Returns
        -------
        dict or None
            None: nothing. With "rows", its history: it was trained to its end; its
            state is there too, but if a later stage has begun. Else a state as
            :meth:`write` was given.
        """
        self._stage += 1
        saved = self._saved
        if saved is None or saved["stage"] < self._stage:
            return None
        if saved["stage"] > self._stage:
            saved = {"rows": saved["earlier"][self._stage]}
        else:
            self._saved = None  # it is large
        if "rows" in saved:
            self.end_stage(saved["rows"])
        return saved

    def is_due(self):
        """Tell whether it is time to write a state in the middle of an epoch."""
        return time.monotonic() - self._written >= 60 * self.minutes

    def write(self, state):
        """Replace the state on disk.

        A state that went wrong (weights that are not finite) is not written, so that
        the last good one stays. If the disk is full, the fit goes on.
        """
        if not all(weight.isfinite().all() for weight in state["module"].values()):
            return
        state = {**state, "stage": self._stage, "earlier": self.stages}
        with self._forgiving(), replaced(self.folder / "state.pt") as file:
            torch.save(state, file)
        self._written = time.monotonic()

    @contextlib.contextmanager
    def _forgiving(self):
        """Let the fit go on if the disk does not take it."""
        self._is_whole = False
        try:
            yield
            self._is_whole = True
        except (OSError, RuntimeError) as error:  # torch's, of a full disk, is one
            warn(
                f"The state of the fit could not be written to {self.folder} "
                f"({error}); the fit goes on, and the state from before is kept.",
            )

    def end_stage(self, rows):
        """Remember the history of a stage that is over."""
        self.stages.append(rows)

    def finish(self):
        """Note that the fit is over: its result stays, and is no loss to anyone."""
        known = _description(self.folder) if self.is_kept and self._is_whole else None
        if known is not None:
            with self._forgiving():
                _describe(self.folder, {**known, "finished": True})

    def describe(self):
        """Say where the last state is, for an error's message."""
        if not (self.is_kept and (self.folder / "state.pt").exists()):
            return ""
        return f" The last good state is in {self.folder}."


def open_resume_state(params, fingerprint):
    """Open the folder of a fit, or make it.

    Parameters
    ----------
    params : dict
        The estimator's; micro-batches may be smaller than when it was identified.
    fingerprint : Fingerprint or None
        None: nothing is kept.

    Returns
    -------
    ResumeState
    """
    if fingerprint is None:
        return ResumeState()
    changed = {"micro_batch_size": _as_text(params["micro_batch_size"])}
    parameters = {**fingerprint.parameters, **changed}
    fingerprint = dataclasses.replace(fingerprint, parameters=parameters)
    folder = Path(params["checkpoint_dir"]).absolute() / fingerprint.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"checkpoint_dir={str(params['checkpoint_dir'])!r} cannot be written to "
            f"({error}): pass a directory with write permission, or None",
        ) from error
    _sweep(folder)
    known = _description(folder)
    if known is None:
        _warn_of_near(folder, fingerprint)
        known = {**dataclasses.asdict(fingerprint), "finished": False}
    _describe(folder, {**known, "process": _own_name()})
    return ResumeState(folder, minutes=params["checkpoint_minutes"])


def _warn_of_near(folder, fingerprint):
    """Name an unfinished fit that differs in one parameter: it may be what is meant."""
    for other in sorted(folder.parent.iterdir()):
        known = _description(other)
        if known is None or known["finished"] or _is_alive(known["process"]):
            continue
        if known["data"] != fingerprint.data or not (other / "state.pt").exists():
            continue
        near = Fingerprint(known["parameters"], known["data"])
        differing = fingerprint.differences(near)
        # Micro-batches that were too large are no fit to go back to.
        if len(differing) == 1 and differing != ["micro_batch_size"]:
            (name,) = differing
            warn(
                f"checkpoint_dir has an unfinished fit of the same data with {name}="
                f"{near.parameters.get(name)}, which is {name}="
                f"{fingerprint.parameters.get(name)} now: it is not continued. Set "
                f"{name} back to go on with it, or delete {other}.",
            )


def _own_name():
    """Name this process, for others that share the directory."""
    return f"{os.getpid()}@{platform.node().replace('.', '-')}"


def _is_alive(name):
    """Tell whether another process runs: another candidate of a grid.

    So is every one of another machine, for all that can be known here.
    """
    process, _, machine = name.partition("@")
    if name == _own_name():
        return False
    if machine != _own_name().partition("@")[2]:
        return True
    if os.name == "nt":  # where 0 is no probe, but Ctrl-C
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _description(folder):
    """Read what a folder is of; None if it is nothing of ours."""
    with contextlib.suppress(OSError, ValueError):
        known = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
        is_ours = isinstance(known, dict) and known.keys() >= _KEYS
        if is_ours and "@" in str(known["process"]):
            return known
    return None


def _sweep(folder):
    """Delete what writers that were killed have left half-way."""
    for path in folder.glob("*.tmp"):
        if not _is_alive(path.name.split(".")[-3]):
            path.unlink(missing_ok=True)


def _describe(folder, description):
    with replaced(folder / "fit.json") as file:
        file.write(json.dumps(description, indent=1).encode())


@contextlib.contextmanager
def replaced(path):
    """Open a file to write that takes the place of `path` when all is on the disk."""
    prefix = f"{path.name}.{_own_name()}."
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".tmp")
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _load(path):
    """Read a state; None if there is none."""
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the reader of a broken file raises
        raise ValueError(
            f"The state of the fit in {path} cannot be read ({type(error).__name__}: "
            f"{error!s:.200}): delete it to start the fit anew."
        ) from error
