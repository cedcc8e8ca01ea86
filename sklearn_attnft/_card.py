# SPDX-License-Identifier: BSD-3-Clause
"""The model card: a README.md that people and the hub read."""

import json
import os

MOST_LABELS = 50  # that are listed


def model_card(*, name, encoder, licence, label_sets, n_samples, history, versions):
    """Write a model card in Markdown, with front matter in YAML.

    Parameters
    ----------
    name : str
        Of the estimator's class.
    encoder : str
        Name on the hub, or a directory, of which the card does not tell the path.
    licence : str or None
        Of the encoder, as its makers name it.
    label_sets : dict
        From name, None if there is but one, to list of labels; empty: features only.
    n_samples : int
    history : list of dict
    versions : dict

    Returns
    -------
    str
    """
    is_local = os.path.isabs(encoder)
    shown = os.path.basename(encoder) if is_local else encoder
    task = "text-classification" if label_sets else "feature-extraction"
    front = {
        "library_name": "sklearn_attnft",
        **({} if is_local else {"base_model": encoder}),
        **({"license": licence} if licence else {}),
        "pipeline_tag": task,
        "tags": ["sklearn_attnft", "scikit-learn", "transformers", task],
    }
    # JSON is YAML.
    lines = ["---", *(f"{key}: {_json(value)}" for key, value in front.items()), "---"]
    lines += ["", f"# {name} on {_code(shown)}", ""]
    lines += [f"- Encoder: {_code(shown)}" + (", a local directory" * is_local)]
    lines += [
        f"- Labels{title}: {len(labels)} ({_listed(labels)})"
        for title, labels in zip(_titles(label_sets), label_sets.values(), strict=True)
    ]
    lines += [f"- Training texts: {n_samples}"]
    lines += [f"- Epochs: {len(history)}", "", *_table(history)]
    lines += [
        "## How to load",
        "",
        "```python",
        f"from sklearn_attnft import {name}",
        "",
        f"model = {name}.load(directory)",
        "```",
        "",
        "No code in this directory is run, and there is no pickle in it. The encoder "
        "alone is opened by `transformers.AutoModel` and `AutoTokenizer`.",
        "",
        "## Versions",
        "",
        ", ".join(f"{package} {version}" for package, version in versions.items()),
        "",
        "## Licence",
        "",
        f"The encoder is under {licence}, as its makers say."
        if licence
        else "The encoder's own files name no licence that could be read: look it up.",
    ]
    return "\n".join([*lines, ""])


def _json(value):
    return json.dumps(value, ensure_ascii=False)


def _code(text):
    """Show any text as code on one line."""
    return f"`{' '.join(str(text).replace('`', ' ').split())}`"


def _titles(label_sets):
    return ["" if name is None else f" of {_code(name)}" for name in label_sets]


def _listed(labels):
    more = ", ..." if len(labels) > MOST_LABELS else ""
    return ", ".join(map(_code, labels[:MOST_LABELS])) + more


def _table(history):
    """Show what each epoch scored."""
    if not history:
        return []
    scores = [key for row in history for key in row if key.startswith(("train", "val"))]
    columns = ["stage", "epoch", *dict.fromkeys(scores)]
    rows = [[_cell(row.get(column, "")) for column in columns] for row in history]
    titles = [" ".join(column.replace("|", " ").split()) for column in columns]
    rows = [titles, ["---"] * len(columns), *rows]
    return [*("| " + " | ".join(row) + " |" for row in rows), ""]


def _cell(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
