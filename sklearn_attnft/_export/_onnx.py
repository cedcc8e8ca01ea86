# SPDX-License-Identifier: BSD-3-Clause
"""Export a fitted estimator to a directory with an ONNX graph."""

import contextlib
import json
import tempfile
from pathlib import Path

import torch

from .. import predictor
from .._persistence._create import (
    check_destination,
    check_no_others,
    create,
    list_files,
)
from .._persistence._save_load import make_card
from .._utils._warnings import warn
from ._check import MAX_CHANGED, TOLERANCE, Reference, default_texts
from ._describe import as_dict, card_usage, describe
from ._graph import ExportedModel, softmax, to_onnx
from ._int8 import to_int8

CARD = "README.md"
METHOD = "export_onnx"  # the public method
FILES = {"model.onnx", "tokenizer.json", "predictor.py"}


def export(estimator, path, quantize, texts, *, overwrite):
    """Export a fitted estimator to a directory, and return the path of the directory.

    Parameters
    ----------
    estimator : estimator
    path : str or path-like
    quantize : {"int8"} or None
    texts : list of str or None
        Texts on which the predictions of the graph and of the estimator are compared.
        If None, built-in texts are used.
    overwrite : bool
        Whether to replace an existing directory that this function has written.
    """
    # The export takes seconds, so an existing directory raises an error first.
    check_destination(path, METHOD, _check_own, overwrite=overwrite)
    targets = estimator._fitted_targets()
    # The module stores the tasks sorted by name.
    n_tasks = len(estimator._spec.tasks)
    in_module = sorted(range(len(targets)), key=lambda i: str(targets[i].name))
    order = [in_module.index(i) for i in range(len(targets))] or list(range(n_tasks))
    activations = [
        torch.sigmoid if target.multilabel else softmax
        for target in targets
        if target.kind != "numbers"
    ]
    model = ExportedModel(estimator.module_, order, activations)
    config = describe(estimator, targets, model.output_names)
    tokenizer = estimator._tokenizer
    n_words = model.encoder.get_input_embeddings().num_embeddings
    graph = to_onnx(model, n_words, has_windows="windows" in config["inputs"])
    if texts is None:
        texts = default_texts(tokenizer.max_length, config["n_texts"])
    reference = Reference(estimator, targets, order, texts)
    files = {
        "tokenizer.json": tokenizer.json.encode(),
        "predictor.py": Path(predictor.__file__).read_bytes(),
        "model.onnx": _to_bytes(graph),
    }
    with _opened(files, config) as model:
        difference = reference.compare(model)
        batches = [inputs for _, inputs in model._batches(model._windows(texts))]
    if not difference.is_small:
        raise ValueError(
            f"The predictions of the graph must differ by at most {TOLERANCE:g} from "
            "those of the estimator in float32, got a largest difference of "
            f"{max(difference.probabilities, difference.contexts):.3g} on "
            f"{difference.n_texts} texts. Nothing was written. Please report the "
            "encoder."
        )
    config |= {"quantize": quantize, "float32_difference": as_dict(difference)}
    if quantize is not None:
        files["model.onnx"] = _to_bytes(to_int8(graph, batches))
        with _opened(files, config) as model:
            difference = reference.compare(model)
        config["int8_difference"] = as_dict(difference)
        _warn_if_changed(difference)
    card = make_card(estimator, config["versions"], card_usage(config, difference))
    files = {**files, CARD: card.encode(), predictor.CONFIG: _config(config, files)}
    return create(path, files, METHOD, _check_own, overwrite=overwrite)


def _to_bytes(graph):
    n_bytes, limit = graph.ByteSize(), predictor.MAX_SIZE["model.onnx"]
    if n_bytes > limit:
        raise ValueError(
            f"The graph must have at most {limit} bytes, got {n_bytes}. Use a smaller "
            "encoder."
        )
    return graph.SerializeToString(deterministic=True)


def _config(config, files):
    """Return config.json as bytes, with the sizes and checksums of `files`."""
    config = {**config, "files": list_files(files)}
    config["sha256"] = predictor.content_digest(config)
    return f"{json.dumps(config, indent=2, allow_nan=False)}\n".encode()


@contextlib.contextmanager
def _opened(files, config):
    """Write files to a temporary directory. Yield an OnnxPredictor of the directory."""
    with tempfile.TemporaryDirectory(prefix="sklearn_attnft-") as directory:
        for name, data in {**files, predictor.CONFIG: _config(config, files)}.items():
            Path(directory, name).write_bytes(data)
        yield predictor.OnnxPredictor(directory, threads=1)


def _warn_if_changed(difference):
    if difference.changed_labels > MAX_CHANGED:
        warn(
            f"quantize='int8' changes {100 * difference.changed_labels:.1f} % of the "
            f"predicted labels of {difference.n_texts} texts. Probabilities change by "
            f"up to {difference.probabilities:.2g}. Measure the accuracy of the "
            "exported model, or export with quantize=None."
        )


def _check_own(path):
    """Raise ValueError if the directory or a file in it is not from export_onnx."""
    predictor.read_config(path)
    check_no_others(path, {*FILES, CARD, predictor.CONFIG})
