# SPDX-License-Identifier: BSD-3-Clause
"""Predict without torch, from a directory that ``export_onnx`` has written.

This file needs only numpy, onnxruntime and tokenizers. ``export_onnx`` copies the file
into each directory, so a service needs only the directory and these packages.
"""

import ctypes
import hashlib
import json
import os
import re
import stat
import threading
import weakref
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

__all__ = ["OnnxPredictor"]

FORMAT, SCHEMA = "sklearn_attnft.onnx", 1
CONFIG = "config.json"
# Maximum size of each file in bytes. A larger file is not read.
MAX_SIZE = {CONFIG: 2**25, "tokenizer.json": 2**28, "model.onnx": 2**31 - 1}
TOKENS_PER_BATCH = 2048
CHUNK_SIZE = 16384  # texts that are tokenized at a time, to limit the memory
TEXTS_FORMAT = (
    "a one-dimensional collection of str (a list, tuple, array, Series or data frame "
    "with one column)"
)
PAIRS_FORMAT = f"{TEXTS_FORMAT}, or pairs of texts (two columns, or a list of tuples)"
PASS_TEXTS = "Pass the texts themselves, as a list of str."
_SURROGATE = re.compile("[\ud800-\udfff]")
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|U\d{1,9}|O)")
_LOCK = threading.Lock()  # held by the thread that opens a session
_PREDICTORS = weakref.WeakSet()


def _forget_sessions():
    """Let a forked process open new sessions.

    The threads of the old sessions exist only in the parent process. Closing an old
    session would wait forever for these threads. So this function adds a reference to
    each old session, which therefore is never closed.
    """
    global _LOCK
    _LOCK = threading.Lock()
    for model in list(_PREDICTORS):
        session, model._opened = model._opened, None
        if session is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_sessions)


class OnnxPredictor:
    """Predict with an exported classifier, regressor or feature extractor.

    The methods may be called from several threads. A forked process opens the graph
    again at its first prediction. A pickle contains the path of the directory, but not
    the graph.

    Parameters
    ----------
    path : str or path-like
        Directory that ``export_onnx`` has written. The files are compared with the
        checksums in ``config.json`` before they are used.
    threads : int or None, default=None
        Number of threads that compute a prediction. More threads make a prediction
        faster, but slow down other workers on the same cores. If None, a prediction
        uses all cores that this process may use.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or list of ndarray
        Sorted class labels. For several tasks, this is a list of arrays in the order of
        ``task_names_``. If `y` of ``fit`` was a matrix of labels, this is a list with
        ``array([0, 1])`` for each label. Feature extractors and regressors do not have
        this attribute.
    label_names_ : ndarray of shape (n_labels,)
        Names of the labels. Only a classifier with several labels per text has this
        attribute.
    task_names_ : list
        Names of the tasks. Only a model of several tasks has this attribute.
    config_ : dict
        Content of ``config.json``.

    Raises
    ------
    ValueError
        If ``export_onnx`` did not write the directory, if a file is missing, damaged or
        replaced, or if the graph refers to other files.
    """

    def __init__(self, path, threads=None):
        is_int = isinstance(threads, Integral) and not isinstance(threads, bool)
        if threads is not None and not (is_int and threads >= 1):
            raise ValueError(
                f"`threads` must be an int of at least 1 or None, got {threads!r}. "
                "Pass None to use all cores."
            )
        self._n_threads = _count_cores() if threads is None else int(threads)
        self.path, self.threads = Path(path).expanduser().absolute(), threads
        self.config_ = read_config(self.path)
        with _explained(self.path / CONFIG):
            self._tasks = [_Task(**task) for task in self.config_["tasks"]]
            self._cutter = _Cutter(**self.config_["tokens"])
            self._files = self.config_["files"]
            self._is_single = bool(self.config_["single_task"])
            self._is_array = self.config_["container"] == "array"
            # Directories of older versions do not have these entries.
            self._n_texts = int(self.config_.get("n_texts", 1))
            self._columns = self.config_.get("feature_names")
            self._cutter.check(self._n_texts)
        self._is_regressor = [task.kind for task in self._tasks] == ["numbers"]
        names = self._tasks[0].label_names if self._tasks else None
        if self._is_single and names is not None:
            self.label_names_ = names
            self.classes_ = [np.array([0, 1]) for _ in names]
        elif self._tasks and not self._is_regressor:
            classes = [task.classes for task in self._tasks]
            self.classes_ = classes[0] if self._is_single else classes
        if not self._is_single:
            self.task_names_ = [task.name for task in self._tasks]
        data = self._read("tokenizer.json")
        with _explained(self.path / "tokenizer.json"):
            self._tokenizer = _open_tokenizer(data)
        self._opened = None
        _PREDICTORS.add(self)
        self._session()

    def _read(self, name):
        return _read_verified(self.path, name, self._files)

    def _session(self):
        """Return the session of this process. Open it if there is none."""
        session = self._opened
        if session is not None:
            return session
        with _LOCK:
            if self._opened is None:
                data = self._read("model.onnx")
                with _explained(self.path / "model.onnx"):
                    self._opened = _open_session(data, self._n_threads)
            return self._opened

    def predict(self, X):
        """Return the predicted labels.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
            Texts: a list, tuple, array, Series or data frame with one column. If the
            estimator was fitted on pairs, `X` must have two columns of texts or be a
            list of tuples.

        Returns
        -------
        labels : ndarray of shape (n_samples,), (n_samples, n_classes), or dict
            Most probable classes. If a text may have several classes, the result is a
            matrix of 0 and 1. A regressor returns numbers in the unit of `y`. For
            several tasks, the result depends on `y` of ``fit``. If this `y` was an
            array, the result is an array with one column per task. Otherwise, the
            result is a dict from the name of each task to its column.
        """
        logits = self._logits(X)
        if self._is_single:
            return self._tasks[0].predict(logits)
        columns = {task.name: task.cells(logits) for task in self._tasks}
        return _as_array(list(columns.values())) if self._is_array else columns

    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        probabilities : ndarray of float64, shape (n_samples, n_classes), or list
            Probabilities in the order of ``classes_``. For several tasks, the result is
            a list of arrays.
        """
        if self._is_regressor:
            raise AttributeError(
                "`predict_proba` needs a classifier, got an exported regressor. Use "
                "predict."
            )
        logits = self._logits(X)
        probabilities = [task.probabilities(logits) for task in self._tasks]
        return probabilities[0] if self._is_single else probabilities

    def score_samples(self, X):
        """Return the similarity of each text to the texts of ``fit``.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        scores : ndarray of float64, shape (n_samples,)
            A higher score means a more similar text, as in ``score_samples`` of the
            classifier.
        """
        if "scores" not in self.config_["outputs"]:
            raise AttributeError(
                "`score_samples` is not available for this exported "
                f"{self.config_['estimator']}. Only classifiers of one task have "
                "scores, and only if each text has one class. With other classifiers, "
                "use the largest probability of predict_proba as the score of a text."
            )
        return self.run(X, "scores")[:, 0].astype(np.float64)

    def transform(self, X):
        """Return the context vectors.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        X_out : ndarray of float32, shape (n_samples, n_features)
        """
        return self.run(X, "contexts")

    def fit(self, X, y=None):
        """Raise an error, because an exported model cannot be fitted.

        This method exists because scikit-learn requires estimators to have ``fit``.

        Parameters
        ----------
        X, y : ignored
        """
        raise TypeError(
            "OnnxPredictor must not be fitted, because it predicts with an exported "
            "model. Put the OnnxPredictor into sklearn.frozen.FrozenEstimator, or fit "
            "the original estimator and export it again."
        )

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        # Only scikit-learn calls this method.
        from sklearn.utils import (
            ClassifierTags,
            InputTags,
            RegressorTags,
            Tags,
            TargetTags,
            TransformerTags,
        )

        inputs = InputTags(one_d_array=True, two_d_array=False, string=True)
        targets = TargetTags(required=False, multi_output=not self._is_single)
        is_classifier = bool(self._tasks) and not self._is_regressor
        kind = "classifier" if is_classifier else None
        return Tags(
            estimator_type="regressor" if self._is_regressor else kind,
            target_tags=targets,
            transformer_tags=TransformerTags(),
            classifier_tags=ClassifierTags() if is_classifier else None,
            regressor_tags=RegressorTags() if self._is_regressor else None,
            input_tags=inputs,
        )

    def __repr__(self):
        return f"{type(self).__name__}({str(self.path)!r}, threads={self.threads!r})"

    def __getstate__(self):
        return {
            "path": self.path,
            "threads": self.threads,
            "sha256": self.config_["sha256"],
        }

    def __setstate__(self, state):
        self.__init__(state["path"], state["threads"])
        if self.config_["sha256"] != state["sha256"]:
            raise ValueError(
                f"{self.path} must contain the model of the pickled OnnxPredictor, got "
                "another model. Create OnnxPredictor(path) again."
            )

    def _logits(self, X):
        if not self._tasks:
            raise AttributeError(
                f"An exported {self.config_['estimator']} computes features only. Use "
                "transform in place of predict or predict_proba."
            )
        return self.run(X, "logits").astype(np.float64)

    def run(self, X, output):
        """Return one output of the graph for each text.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
        output : {"contexts", "logits", "probabilities", "scores"}
            Name of the output. For several tasks, the columns of all tasks are
            concatenated.

        Returns
        -------
        values : ndarray of float32, shape (n_samples, n_columns)
        """
        texts = _check_input(X, self._n_texts, self._columns)
        session = self._session()
        position = {}
        inverse = [position.setdefault(text, len(position)) for text in texts]
        distinct, parts = list(position), []
        for start in range(0, len(distinct), CHUNK_SIZE):
            chunk = distinct[start : start + CHUNK_SIZE]
            parts.append(self._run_windows(session, self._windows(chunk), output))
        outputs = np.concatenate(parts)
        return outputs if len(distinct) == len(texts) else outputs[inverse]

    def _windows(self, texts):
        """Return a list of windows for each text. A window is a list of token ids."""
        return [self._cutter.windows(ids) for ids in self._encode(texts)]

    def _encode(self, texts):
        """Return a list of token ids for each text, or two lists for each pair."""
        if self._n_texts == 2:
            columns = zip(*texts, strict=True)
            sides = [self._encode_each(list(column)) for column in columns]
            return list(zip(*sides, strict=True))
        return self._encode_each(texts)

    def _encode_each(self, texts):
        # A lone surrogate cannot be encoded as UTF-8.
        clean = [_SURROGATE.sub("\ufffd", text) for text in texts]
        encode = self._tokenizer.encode_batch_fast
        return [each.ids for each in encode(clean, add_special_tokens=False)]

    def _run_windows(self, session, windows, output):
        """Compute one output of the graph for texts, given the windows of each text."""
        result = None
        for batch, inputs in self._batches(windows):
            outputs = session.run([output], inputs)[0]
            if result is None:
                result = np.empty((len(windows), outputs.shape[1]), dtype=np.float32)
            result[batch] = outputs
        return result

    def _batches(self, windows):
        """Yield the text indices and the graph inputs of each batch."""
        longest = np.array([max(map(len, each)) for each in windows])
        for batch in _batches(longest, np.array([len(each) for each in windows])):
            yield batch, self._cutter.batch([windows[i] for i in batch])


def _count_cores():
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


class _Task:
    """A task that converts its columns of the logits to labels or numbers."""

    def __init__(
        self,
        name,
        kind,
        columns,
        classes=None,
        threshold=None,
        label_names=None,
        mean=None,
        scale=None,
    ):
        if kind not in ("labels", "sets", "matrix", "numbers"):
            raise ValueError(f"the kind of a task is {_shorten(kind, 40)}")
        self.name, self.kind = name, kind
        self._columns = slice(*columns)
        self.label_names = None
        if kind == "numbers":
            self._mean, self._scale = np.array(mean, float), np.array(scale, float)
            return
        self.classes = _restore_array(**classes)
        if label_names is not None:
            self.label_names = _restore_array(**label_names)
        self._cut = None if threshold is None else np.log(threshold / (1 - threshold))

    def predict(self, logits):
        logits = logits[:, self._columns]
        if self.kind == "numbers":
            numbers = logits * self._scale + self._mean
            return numbers[:, 0] if numbers.shape[1] == 1 else numbers
        if self.kind == "labels":
            return self.classes[logits.argmax(axis=1)]
        return (logits > self._cut).astype(np.int64)

    def cells(self, logits):
        predicted = self.predict(logits)
        if self.kind != "sets":
            return predicted
        cells = np.empty(len(predicted), dtype=object)
        for i, row in enumerate(predicted):
            cells[i] = set(self.classes[row == 1].tolist())
        return cells

    def probabilities(self, logits):
        logits = logits[:, self._columns]
        if self.kind == "labels":
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            return powers / powers.sum(axis=1, keepdims=True)
        small = np.exp(-np.abs(logits))
        return np.where(logits < 0, small, 1.0) / (1.0 + small)


class _Cutter:
    """Cut token ids into windows, add special tokens, and make padded batches.

    A window is a list with one int for each token: ``token_id + token_type * 2**32``.
    """

    def __init__(
        self, prefix, suffix, pad_id, filler_id, max_length, long_texts, pair=None
    ):
        self._specials = {1: [list(prefix), list(suffix)]}
        self._types = {1: [0]}
        if pair is not None:
            parts = zip(pair["specials"], pair["special_types"], strict=True)
            self._specials[2] = [_typed(ids, types) for ids, types in parts]
            self._types[2] = list(pair["text_types"])
        self._pad, self._filler = int(pad_id), int(filler_id)
        self._is_windowed = long_texts == "window"
        self._rooms = {
            n: int(max_length) - sum(map(len, specials))
            for n, specials in self._specials.items()
        }

    def check(self, n_texts):
        """Raise ValueError if special tokens leave too little room for the texts."""
        if self._rooms[n_texts] < n_texts:
            raise ValueError("max_length is too small")

    def windows(self, text):
        """Return the windows of a text (list of ids) or of a pair (tuple of lists)."""
        parts = text if isinstance(text, tuple) else (text,)
        n, windows = len(parts), []
        for cut in self._cut(parts, self._rooms[n]):
            first, *others = self._specials[n]
            window = list(first)
            for part, kind, special in zip(cut, self._types[n], others, strict=True):
                window += _typed(part, [kind] * len(part)) if kind else part
                window += special
            windows.append(window or [self._filler])
        return windows

    def _cut(self, parts, room):
        """Cut one or two texts into windows. Each window has a part of each text."""
        if len(parts) == 1:
            return [[window] for window in self._cut_text(parts[0], room)]
        if sum(map(len, parts)) <= room:
            return [parts]
        first, second = parts
        if len(first) > len(second):
            second = _truncate(second, room // 2)
            return [
                [each, second] for each in self._cut_text(first, room - len(second))
            ]
        first = _truncate(first, room // 2)
        return [[first, each] for each in self._cut_text(second, room - len(first))]

    def _cut_text(self, ids, room):
        if not self._is_windowed:
            return [_truncate(ids, room)]
        overlap = room // 4
        last = max(len(ids) - overlap, 1)
        return [ids[i : i + room] for i in range(0, last, room - overlap)]

    def batch(self, texts):
        """Return the inputs of the graph, given the windows of each text."""
        rows = [window for text in texts for window in text]
        lengths = np.array([len(row) for row in rows])
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(mask.shape, self._pad, dtype=np.int64)
        ids[mask] = np.concatenate(rows)
        # The mask is 0 for padding. For other tokens, it is 1 plus the token type.
        mask = mask * (1 + (ids >> 32))
        inputs = {"input_ids": ids & (2**32 - 1), "attention_mask": mask}
        if self._is_windowed:
            counts = np.array([len(text) for text in texts])
            slots = np.arange(counts.max())
            numbers = (np.cumsum(counts) - counts)[:, None] + slots
            numbers = np.where(slots < counts[:, None], numbers, -1)
            inputs["windows"] = numbers.astype(np.int64)
        return inputs


def _typed(ids, types):
    return [i + (kind << 32) for i, kind in zip(ids, types, strict=True)]


def _truncate(ids, room):
    """Remove tokens in the middle, so that at most `room` tokens are left."""
    if len(ids) <= room:
        return ids
    tail = room // 2
    return ids[: room - tail] + ids[len(ids) - tail :]


def _batches(longest, n_windows):
    """Group the indices of texts of similar length in batches, longest texts first.

    A batch has at most ``TOKENS_PER_BATCH`` tokens, including padding. A batch of a
    single text may have more tokens. In each batch, padding the shorter texts to the
    length of the longest text adds at most ``TOKENS_PER_BATCH / 16`` tokens.
    """
    batches, batch, rows, padding = [], [], 0, 0
    for i in np.lexsort((-n_windows, -longest)):
        length = longest[batch[0]] if batch else longest[i]
        padding += (length - longest[i]) * n_windows[i]
        rows += n_windows[i]
        is_full = rows * length > TOKENS_PER_BATCH or padding > TOKENS_PER_BATCH / 16
        if batch and is_full:
            batches.append(batch)
            batch, rows, padding = [], n_windows[i], 0
        batch.append(i)
    return [*batches, batch]


def _as_array(columns):
    """Combine columns of labels into one array."""
    kinds = {column.dtype.kind for column in columns}
    if len(kinds) == 1 and kinds <= set("biuf"):
        return np.column_stack(columns)
    array = np.empty((len(columns[0]), len(columns)), dtype=object)
    for i, column in enumerate(columns):
        array[:, i] = column
    return array


def _restore_array(dtype, values):
    """Return an array of class labels with the data type of the labels in ``fit``."""
    if not _DTYPE.fullmatch(dtype):
        raise ValueError(f"the type of the classes is {_shorten(dtype, 40)}")
    if "U" in dtype and int(dtype.split("U")[1]) > max(map(len, values)):
        raise ValueError(f"the type of the classes is {_shorten(dtype, 40)}")
    array = np.empty(len(values), dtype=dtype)
    array[:] = values
    return array


def content_digest(config):
    """Return the sha256 of a config, computed without the entry "sha256"."""
    content = {name: value for name, value in config.items() if name != "sha256"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def read_config(path):
    """Return the verified content of the ``config.json`` in a directory."""
    if not (path / CONFIG).is_file():
        raise ValueError(
            f"{path} is not a directory that export_onnx has written, because it does "
            f"not contain {CONFIG}. Pass the path that export_onnx returned."
        )
    with _explained(path / CONFIG):
        config = json.loads(_read_bounded(path / CONFIG))
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        if config["sha256"] != content_digest(config):
            raise ValueError("its content does not match its sha256")
    if config["schema"] != SCHEMA:
        raise ValueError(
            f"{path / CONFIG} must have the schema {SCHEMA}, got "
            f"{_shorten(config['schema'], 40)}. Another version of export_onnx wrote "
            "the file. Use the predictor.py in the directory."
        )
    return config


def _read_verified(path, name, files):
    """Return the content of a file after a check of its size and sha256."""
    path, entry = path / name, files[name]
    data = _read_bounded(path)
    if len(data) != entry["size"]:
        raise ValueError(
            f"{path} must have {entry['size']} bytes according to {CONFIG}, got "
            f"{len(data)}. Copy the directory again."
        )
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise ValueError(
            f"{path} must have the sha256 in {CONFIG}, got another sha256. The file "
            "was changed or replaced. Copy the directory again."
        )
    return data


def _read_bounded(path):
    """Return the content of a regular file. Raise ValueError if it is too large."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(
                f"{path} must be a regular file, got another kind of file. Copy the "
                "directory again."
            )
        with open(path, "rb") as file:
            data = file.read(MAX_SIZE[path.name] + 1)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be opened ({error.strerror}). Copy the directory again."
        ) from error
    if len(data) > MAX_SIZE[path.name]:
        raise ValueError(
            f"{path} must have at most {MAX_SIZE[path.name]} bytes, got more. Export "
            "the model again."
        )
    return data


class _explained:
    """Turn any error in reading a file into a ValueError that names the file."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        # Panics of tokenizers are replaced too, although they are not Exceptions.
        if error is None or isinstance(error, (KeyboardInterrupt, SystemExit)):
            return
        raise ValueError(
            f"{self._path} was not written by export_onnx, or was changed or damaged "
            f"({kind.__name__}: {_shorten(error, 300, str)}). Copy the directory again."
        ) from error


def _open_tokenizer(data):
    tokenizer = Tokenizer.from_str(data.decode())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    # If a text contains "[SEP]", these characters are text, not a separator.
    tokenizer.encode_special_tokens = True
    return tokenizer


def _open_session(data, n_threads):
    """Open a graph from bytes. Raise ValueError if it refers to other files."""
    _refuse_external(memoryview(data), "model")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
    options.log_severity_level = 3
    # Waiting threads must not take processor time from other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        data, options, providers=["CPUExecutionProvider"]
    )


# For each kind of message in onnx.proto, this dict maps the numbers of fields that can
# contain tensors to the kind of message in the field. Field 13 of a tensor is
# external_data, and field 14 is data_location.
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external", 14: "external"},
}


def _refuse_external(data, kind, depth=0):
    """Raise ValueError if an ONNX graph refers to data in another file.

    `data` is a protobuf message of the ONNX format.
    """
    if depth > 50:
        raise ValueError("its graphs are nested too deeply")
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        field, wire = key >> 3, key & 7
        inner, content = _FIELDS[kind].get(field), None
        if wire == 0:
            content, position = _varint(data, position)
        elif wire == 2:
            size, position = _varint(data, position)
            content, position = data[position : position + size], position + size
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise ValueError("it is not an ONNX graph")
        if position > len(data):
            raise ValueError("it is not an ONNX graph")
        if inner == "external":
            if wire == 2 or content:
                raise ValueError("its weights are in another file")
        elif inner is not None and wire == 2:
            _refuse_external(content, inner, depth + 1)


def _varint(data, position):
    """Return the varint that starts at a position, and the position after it."""
    number = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte, position = data[position], position + 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
    raise ValueError("it is not an ONNX graph")


def _check_input(X, n_texts, names):
    """Return texts or pairs as a list.

    Invalid input raises the same errors as in the estimators.
    """
    columns = _two_columns(X)
    if columns is None:
        texts = _check_texts(X)
        if n_texts == 2:
            raise ValueError(
                "`X` must have two texts for each sample, like the `X` passed to fit, "
                "got single texts. Pass both columns, or a list of tuples (first, "
                "second)."
            )
        return texts
    sides = [_check_texts(column, code) for code, column in columns.items()]
    texts = list(zip(*sides, strict=True))
    if n_texts == 1:
        raise ValueError(
            "`X` must have one text for each sample, like the `X` passed to fit, got "
            f"pairs of texts. Pass the same column as in fit: {' or '.join(columns)}."
        )
    found = _names(X) if hasattr(X, "columns") else None
    is_named = found is not None and all(type(name) is str for name in found)
    if names is not None and is_named and found != names:
        raise ValueError(
            "`X` must have the same columns as in fit, in the same order, "
            f"{names!r}, got {found!r}. Pass X[{names!r}]."
        )
    return texts


def _names(X):
    return list(getattr(X, "column_names", X.columns))


def _two_columns(X):
    """Return a dict with the two columns of pairs, or None if `X` has no pairs.

    Each key is the code that selects the column, such as "X[:, 0]".
    """
    if isinstance(X, Sequence):
        is_text = isinstance(X, (str, bytes, bytearray, memoryview))
        return _of_tuples(X) if not is_text and len(X) and _is_pair(X[0]) else None
    shape = getattr(X, "shape", ())
    if len(shape) != 2 or shape[1] < 2:
        return None
    if hasattr(X, "columns") and shape[1] == 2:
        return {f"X[{column!r}]": X[column] for column in _names(X)}
    if shape[1] == 2 and hasattr(X, "__array__"):
        array = _as_objects(X)
        return {f"X[:, {i}]": array[:, i].tolist() for i in range(2)}
    what = f"an array of shape {tuple(shape)}"
    if hasattr(X, "columns"):
        what = f"a data frame with {shape[1]} columns"
    raise ValueError(
        f"`X` must be {PAIRS_FORMAT}, got {what}. Select the columns of texts."
    )


def _is_pair(row):
    return isinstance(row, tuple) and len(row) == 2


def _of_tuples(X):
    for i, row in enumerate(X):
        if not _is_pair(row):
            size = f" of {len(row)}" if isinstance(row, tuple) else ""
            raise TypeError(
                f"`X` must have two texts in each tuple, got {_describe_type(row)}"
                f"{size} at position {i}. Pass a tuple (first, second) for each sample."
            )
    return {f"[row[{i}] for row in X]": [row[i] for row in X] for i in range(2)}


def _as_objects(X):
    if isinstance(X, np.ma.MaskedArray):
        X = np.where(np.ma.getmaskarray(X), None, X.data.astype(object))
    return np.asarray(X, dtype=object)


def _check_texts(X, name="X"):
    """Return texts as a list of str.

    Invalid texts raise the same errors as in the estimators.
    """
    if isinstance(X, str):
        raise ValueError(
            f"`{name}` must be {TEXTS_FORMAT}, got a single str. Put a single text in "
            "a list: [text]."
        )
    texts = _column(X, name)
    if not len(texts):
        raise ValueError(
            f"`{name}` must have at least one text, got an empty collection (0 "
            "samples). Check the code that selects the texts."
        )
    for i, text in enumerate(texts):
        if isinstance(text, str):
            continue
        if _is_missing(text):
            raise ValueError(
                f"`{name}` must be {TEXTS_FORMAT}, got a missing value ({text!r}) at "
                f"position {i}. Drop the rows with missing values, or replace the "
                "values with ''."
            )
        advice = PASS_TEXTS
        if isinstance(text, list) and len(text) == 2:
            advice = "If each row is a pair of texts, pass [tuple(row) for row in X]."
        raise TypeError(
            f"`{name}` must be {TEXTS_FORMAT}, got {_describe_type(text)} "
            f"({_shorten(text, 40)}) at position {i}. {advice}"
        )
    return [str.__str__(text) for text in texts]


def _column(X, name):
    """Return the only column of `X` as a list."""
    is_bytes = isinstance(X, (bytes, bytearray, memoryview))
    if isinstance(X, Sequence) and not is_bytes:
        return list(X)
    if hasattr(X, "shape") and hasattr(X, "columns"):
        if X.shape[1] != 1:
            raise ValueError(
                f"`{name}` must be {TEXTS_FORMAT}, got a data frame with {X.shape[1]} "
                "columns. Select the column of texts."
            )
        X = X[_names(X)[0]]
    if is_bytes or not hasattr(X, "__array__"):
        raise TypeError(
            f"`{name}` must be {TEXTS_FORMAT}, got {_describe_type(X)}. {PASS_TEXTS}"
        )
    array = _as_objects(X)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"`{name}` must be {TEXTS_FORMAT}, got an array of shape {array.shape}. "
            "Pass an array of shape (n_samples,)."
        )
    return array.tolist()


def _is_missing(value):
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and value != value


def _shorten(value, length, write=repr):
    text = write(value)
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _describe_type(value):
    """Return the type of a value with an article, such as "an int"."""
    if value is None:
        return "None"
    kind = type(value).__name__
    article = "an" if kind.lower().startswith(("a", "e", "i", "o", "nd")) else "a"
    noun = " object" if isinstance(value, (bytes, bytearray)) else ""
    return f"{article} {kind}{noun}"
