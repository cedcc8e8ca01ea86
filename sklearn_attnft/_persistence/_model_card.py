# SPDX-License-Identifier: BSD-3-Clause
"""The model card: a README.md that people and the hub read."""

import json
import os
import re

MOST_LABELS = 50  # that are listed
TEMPLATE = """\
---
{front}
---

# {name} on {encoder}

{facts}

{table}## How to load

```python
from sklearn_attnft import {name}

model = {name}.load(directory)
```

No code in this directory is run, and there is no pickle in it. The encoder alone is
opened by `transformers.AutoModel` and `AutoTokenizer`.

## Versions

{versions}

## Licence

{licence}
"""


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
    shown = _code(os.path.basename(encoder) if is_local else encoder)
    task = "text-classification" if label_sets else "feature-extraction"
    front = {
        "library_name": "sklearn_attnft",
        "base_model": None if is_local else encoder,
        "license": licence,
        "pipeline_tag": task,
        "tags": ["sklearn_attnft", "scikit-learn", "transformers", task],
    }
    facts = [f"Encoder: {shown}" + (", a local directory" if is_local else "")]
    for of, labels in label_sets.items():
        title = "Labels" if of is None else f"Labels of {_code(of)}"
        facts.append(f"{title}: {len(labels)} ({_listed(labels)})")
    facts += [f"Training texts: {n_samples}", f"Epochs: {len(history)}"]
    return TEMPLATE.format(
        # JSON is YAML.
        front="\n".join(f"{k}: {json.dumps(v)}" for k, v in front.items() if v),
        name=name,
        encoder=shown,
        facts="\n".join(f"- {fact}" for fact in facts),
        table=_table(history),
        versions=", ".join(f"{package} {v}" for package, v in versions.items()),
        licence=f"The encoder is under {licence}, as its makers say."
        if licence
        else "The encoder's own files name no licence that could be read: look it up.",
    )


def _line(text):
    """Return any text as one line, without what would end a cell or code."""
    # Half a surrogate pair is no character: JSON can hold it, a file cannot.
    text = re.sub("[\ud800-\udfff]", "\ufffd", str(text))
    return " ".join(text.replace("`", " ").replace("|", " ").split())


def _code(text):
    return f"`{_line(text)}`"


def _listed(labels):
    more = ", ..." if len(labels) > MOST_LABELS else ""
    return ", ".join(map(_code, labels[:MOST_LABELS])) + more


def _table(history):
    """Show what each epoch scored; nothing if there was none."""
    if not history:
        return ""
    scores = [key for row in history for key in row if key.startswith(("train", "val"))]
    columns = ["stage", "epoch", *dict.fromkeys(scores)]
    rows = [[_cell(row.get(column, "")) for column in columns] for row in history]
    rows = [map(_line, columns), ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + "\n"


def _cell(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
