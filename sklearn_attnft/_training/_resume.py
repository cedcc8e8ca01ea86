# SPDX-License-Identifier: BSD-3-Clause
"""Resume states, which are stored on disk so that a killed fit can continue.

`checkpoint_dir` has a folder for each fit, so the candidates of a grid search can share
one `checkpoint_dir`. The name of a folder is computed from the fingerprint of the fit.
A folder has three files: ``fit.json`` describes the fit, ``state.pt`` is its last
resume state, and ``running.lock`` is locked while the fit runs. ``_seed_claim`` adds
folders for the seeds of fits without `random_state`.
"""

import contextlib
import dataclasses
import io
import json
import time
from pathlib import Path

import torch

from .._cache import claim
from .._utils._files import expand, read_with_digest, replaced_with_digest
from .._utils._messages import shorten
from .._utils._warnings import warn
from ._fingerprint import Fingerprint, as_text

# Keys of fit.json.
_KEYS = {"parameters", "data", "finished"}
# Temporary files that are older than this many seconds are from killed processes.
_ABANDONED = 60


class ResumeState:
    """The resume state of one fit.

    When a ResumeState is created, it locks the folder of the fit. If it is used as a
    context manager, it releases the lock at the end of the ``with`` block.

    Parameters
    ----------
    folder : Path or None
        Folder of the fit. If None, no resume state is read or written.
    minutes : float
        Minutes between two resume states that are written during an epoch.

    Attributes
    ----------
    stages : list of list of dict
        Histories of the stages that have ended.
    """

    def __init__(self, folder=None, *, minutes=0.0):
        self.folder = folder
        self.minutes = minutes
        self.stages = []
        self._stage = -1
        self._written = time.monotonic()
        self._is_complete = True  # whether the last write succeeded
        self._saved = self._release = None
        if folder is not None:
            self._saved = _load(folder / "state.pt")
            self._release = _claim(folder)
        if self._release is not None:
            _sweep(folder)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.is_locked:
            self._release()

    @property
    def is_locked(self):
        """Whether this process has locked the folder."""
        return self._release is not None

    @property
    def is_kept(self):
        """Whether this fit writes resume states."""
        return self.folder is not None

    @property
    def is_resuming(self):
        """Whether a resume state was found and has not been restored yet."""
        return self._saved is not None

    @property
    def has_progress(self):
        """Whether the saved resume state belongs to a stage after the current stage."""
        return self.is_resuming and self._saved["stage"] > self._stage

    @property
    def has_next_stage(self):
        """Whether the next stage is complete in the saved resume state."""
        saved, next_stage = self._saved, self._stage + 1
        if saved is None:
            return False
        has_ended = saved["stage"] > next_stage
        return has_ended or (saved["stage"] == next_stage and "rows" in saved)

    def load_weights(self, module):
        """Load the saved weights into `module` if they belong to the next stage."""
        if self.is_resuming and self._saved["stage"] == self._stage + 1:
            module.load_state_dict(self._saved["module"])

    def next_stage(self):
        """Begin the next stage and return its saved state.

        Returns
        -------
        dict or None
            The last state that the killed fit passed to :meth:`write` in this stage. If
            None, the stage must be trained from the start. If the dict has the key
            "rows", the stage is complete, and "rows" is the history of the stage. If
            the killed fit had begun a later stage, "rows" is the only key.
        """
        self._stage += 1
        saved = self._saved
        if saved is None or saved["stage"] < self._stage:
            return None
        if saved["stage"] > self._stage:
            saved = {"rows": saved["earlier"][self._stage]}
        else:
            self._saved = None  # frees the memory
        if "rows" in saved:
            self.end_stage(saved["rows"])
        return saved

    def is_due(self):
        """Return whether it is time to write a resume state during an epoch."""
        return time.monotonic() - self._written >= 60 * self.minutes

    def write(self, state):
        """Replace the resume state on disk.

        If `state` has weights that are not finite, the state on disk is not replaced.
        If writing fails, a warning is issued and the fit continues.
        """
        if not all(weight.isfinite().all() for weight in state["module"].values()):
            return
        state = {**state, "stage": self._stage, "earlier": self.stages}
        path = self.folder / "state.pt"
        with self._warn_on_failure(), replaced_with_digest(path) as file:
            torch.save(state, file)
        self._written = time.monotonic()

    @contextlib.contextmanager
    def _warn_on_failure(self):
        """If an error occurs while a file is written, issue a warning instead."""
        self._is_complete = False
        try:
            yield
            self._is_complete = True
        except (OSError, RuntimeError) as error:  # torch raises both
            warn(
                f"The resume state could not be written to {self.folder} ({error}). "
                "The fit continues. If it is killed, the next fit resumes from an "
                "older state or starts from scratch. Free some disk space, or pass "
                "another checkpoint_dir.",
            )

    def end_stage(self, rows):
        """Store the history of a complete stage."""
        self.stages.append(rows)

    def finish(self):
        """Write to fit.json that the fit has finished."""
        is_written = self.is_kept and self._is_complete
        known = description(self.folder) if is_written else None
        if known is not None:
            self.record({**known, "finished": True})

    def record(self, description):
        """Replace fit.json with a description of the fit."""
        text = json.dumps(description, indent=1)
        path = self.folder / "fit.json"
        with self._warn_on_failure(), replaced_with_digest(path) as file:
            file.write(text.encode())

    def describe(self):
        """Return a sentence for error messages, with the path of the folder."""
        if not (self.is_kept and (self.folder / "state.pt").exists()):
            return ""
        return f" The last good state is in {self.folder}."


def open_resume_state(params, fingerprint):
    """Open the resume state of a fit, and create its folder if necessary.

    Parameters
    ----------
    params : dict
        Parameters of the estimator. `micro_batch_size` may be smaller than in the
        fingerprint.
    fingerprint : Fingerprint or None
        Identity of the fit. If None, no resume state is read or written.

    Returns
    -------
    ResumeState
    """
    if fingerprint is None:
        return ResumeState()
    changed = {"micro_batch_size": as_text(params["micro_batch_size"])}
    parameters = {**fingerprint.parameters, **changed}
    fingerprint = dataclasses.replace(fingerprint, parameters=parameters)
    folder = make_folder(params["checkpoint_dir"], fingerprint.name)
    is_new = description(folder) is None
    if is_new:
        _warn_of_similar(folder, fingerprint)
    state = ResumeState(folder, minutes=params["checkpoint_minutes"])
    if is_new:
        state.record({**dataclasses.asdict(fingerprint), "finished": False})
    return state


def make_folder(checkpoint_dir, name):
    """Return the path of a folder in `checkpoint_dir`. Create the folder if necessary.

    The path is absolute.
    """
    folder = Path(expand(checkpoint_dir)).absolute() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"checkpoint_dir={str(checkpoint_dir)!r} cannot be written to "
            f"({error}). Pass a directory with write permission, or None.",
        ) from error
    return folder


def _warn_of_similar(folder, fingerprint):
    """Warn if a killed fit on the same data differs in exactly one parameter."""
    for other in sorted(folder.parent.iterdir()):
        known = description(other)
        if known is None or known["finished"] or known["data"] != fingerprint.data:
            continue
        similar = Fingerprint(known["parameters"], known["data"])
        differing = fingerprint.differences(similar)
        # Do not suggest the micro-batches of a fit that may have run out of memory.
        if len(differing) != 1 or differing == ["micro_batch_size"]:
            continue
        if (other / "state.pt").exists() and not _is_running(other):
            (name,) = differing
            warn(
                f"checkpoint_dir has an unfinished fit on the same data with {name}="
                f"{similar.parameters.get(name)}, but this fit has {name}="
                f"{fingerprint.parameters.get(name)}, so this fit starts from scratch. "
                f"Set {name} back to resume the unfinished fit, or delete {other}.",
            )


def _claim(folder):
    """Lock the folder of a fit and return a function that releases the lock.

    Return None if another process runs the fit, maybe on another machine, or if the
    file system does not support locks. The fit then runs without the lock. This is
    safe, because processes that run the same fit write the same states, and each write
    replaces the whole file. The operating system releases the lock of a killed process.
    """
    # Old versions of filelock raise NotImplementedError on such file systems.
    with contextlib.suppress(OSError, NotImplementedError):
        return claim(folder, "running.lock", wait=False)
    return None


def _is_running(folder):
    """Return whether another process may be running the fit of a folder."""
    release = _claim(folder)
    if release is not None:
        release()
    return release is None


def _sweep(folder):
    """Delete the temporary files of killed processes. The caller must hold the lock."""
    for path in folder.glob("*.tmp"):
        # A process that runs the same fit without the lock may be writing now.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()


def description(folder):
    """Return the content of fit.json, or None if the file is missing or invalid."""
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(bytes(read_with_digest(folder / "fit.json")))
        if isinstance(known, dict) and known.keys() >= _KEYS:
            return known
    return None


def _load(path):
    """Read a resume state, or return None if the file does not exist."""
    if not path.exists():
        return None
    try:
        content = io.BytesIO(read_with_digest(path))
        return torch.load(content, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise many types
        raise ValueError(
            f"The resume state {path} cannot be read ({type(error).__name__}: "
            f"{shorten(error, 200, str)}). Delete this file to start the fit from "
            "scratch."
        ) from error
