# SPDX-License-Identifier: BSD-3-Clause
"""Create the ``config.json`` and the model card of an exported directory."""

import dataclasses

import numpy as np

from .. import predictor
from .._data._pairs import InputKind
from .._persistence._save_load import package_versions
from .._utils._messages import shorten

# If a text may have several labels, labels with a higher probability are predicted.
THRESHOLD = 0.5
CARD_USAGE = """\
## How to predict

Install numpy, onnxruntime and tokenizers. Run this code in the directory:

```python
from predictor import OnnxPredictor

model = OnnxPredictor(".")
model.{method}({texts})
```

The encoder in the graph `model.onnx` multiplies its weights in {dtype}. The predictions
of the graph and of the estimator were compared on {n_texts} texts. The largest
difference of a {what} is {difference:.2g}. The fraction of labels that differ is
{changed:.2g}.

The checksums in `config.json` detect damaged files. They do not show who created the
directory, so load the directory only if you trust its source.
"""


def describe(estimator, targets, output_names):
    """Return the description of an estimator for ``config.json``.

    The caller later adds the checksums of the files, and the differences between the
    predictions of the graph and of the estimator.
    """
    spec, tokenizer = estimator._spec, estimator._tokenizer
    is_single = not hasattr(estimator, "task_names_")
    container = getattr(estimator, "_container", "array")
    has_windows = tokenizer.long_texts == "window"
    tokens = {
        "prefix": tokenizer.templates[1].specials[0].tolist(),
        "suffix": tokenizer.templates[1].specials[1].tolist(),
        "pad_id": tokenizer.pad_id,
        "filler_id": tokenizer.filler_id,
        "max_length": tokenizer.max_length,
        "long_texts": tokenizer.long_texts,
    }
    kind = InputKind.of_fitted(vars(estimator))
    if kind.n_texts == 2:
        tokens["pair"] = _describe_template(tokenizer.templates[2])
    rows = ["n_windows", "n_tokens"]
    inputs = {"input_ids": rows, "attention_mask": rows}
    if has_windows:
        inputs["windows"] = ["n_texts", "max_windows"]
    return {
        "format": predictor.FORMAT,
        "schema": predictor.SCHEMA,
        "estimator": type(estimator).__name__,
        "single_task": is_single,
        "container": "array" if container == "array" else "dict",
        "n_texts": kind.n_texts,
        "feature_names": None if kind.names is None else list(kind.names),
        "n_features": spec.n_features,
        "tasks": _describe_tasks(targets, estimator),
        "tokens": tokens,
        "inputs": inputs,
        "outputs": list(output_names),
        "versions": package_versions(("onnx", "onnxruntime")),
    }


def _describe_template(template):
    return {
        "specials": [each.tolist() for each in template.specials],
        "special_types": [each.tolist() for each in template.special_types],
        "text_types": list(template.text_types),
    }


def _describe_tasks(targets, estimator):
    described, start = [], 0
    for target in targets:
        stop = start + target.n_outputs
        task = {"name": _plain_name(target.name), "kind": target.kind}
        task["columns"] = [start, stop]
        if target.kind == "numbers":
            task["mean"], task["scale"] = target.mean.tolist(), target.scale.tolist()
        else:
            task["classes"] = _describe_classes(target.classes)
            task["threshold"] = THRESHOLD if target.multilabel else None
        if target.multilabel and hasattr(estimator, "label_names_"):
            task["label_names"] = _describe_classes(estimator.label_names_)
        described.append(task)
        start = stop
    return described


def _plain_name(name):
    name = name.item() if isinstance(name, np.generic) else name
    if name is None or type(name) in (str, int, float, bool):
        return name
    raise ValueError(
        "The name of each task must be str, int, float or bool to be exported, got "
        f"{shorten(name, 80)}. Rename the tasks and fit again."
    )


def _describe_classes(classes):
    values, dtype = classes.tolist(), classes.dtype
    if dtype.kind == "U":  # exactly as wide as the longest str
        dtype = np.dtype(f"U{max(map(len, values))}").newbyteorder("<")
    types = {type(value) for value in values}
    if not types <= {str, int, float, bool} or dtype.kind not in "bifuUO":
        raise ValueError(
            "The labels must be str, int, float or bool to be exported, got labels of "
            f"type {dtype}. Fit with other labels."
        )
    return {"dtype": dtype.str, "values": values}


def card_usage(config, difference):
    """Return the section of the model card that shows how to predict."""
    method, what = "transform", "feature"
    if config["tasks"]:
        is_number = config["tasks"][0]["kind"] == "numbers"
        method = "predict" if is_number else "predict_proba"
        what = "standardized number" if is_number else "probability"
    texts = '["The first text.", "The second text."]'
    if config["n_texts"] == 2:
        texts = '[("The first text of a pair.", "The second text.")]'
    return CARD_USAGE.format(
        method=method,
        texts=texts,
        n_texts=difference.n_texts,
        what=what,
        difference=difference.probabilities
        if what != "feature"
        else difference.contexts,
        dtype=config["quantize"] or "float32",
        changed=difference.changed_labels,
    )


def as_dict(difference):
    """Return a Difference as a dict of numbers."""
    return dataclasses.asdict(difference)
