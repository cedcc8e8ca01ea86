# SPDX-License-Identifier: BSD-3-Clause
"""Create the model card, which is the README.md of a saved directory."""

import os
import re

MAX_LABELS = 50  # maximum number of labels that are listed
TEMPLATE = """\
---
{front}
---

# {name} on {encoder}

{facts}

{table}{usage}
## Versions

{versions}

## License

{license}
"""
USAGE = """\
## How to load

```python
from sklearn_attnft import {name}

model = {name}.load(directory)
```

The directory contains no pickle. Loading runs no code from the directory.
`transformers.AutoModel` and `AutoTokenizer` load only the encoder.
"""


def model_card(
    *,
    name,
    encoder,
    license,
    label_sets,
    n_numbers,
    n_samples,
    history,
    versions,
    usage=None,
):
    """Return a model card in Markdown with YAML front matter.

    Parameters
    ----------
    name : str
        Name of the estimator's class.
    encoder : str
        Hub name or directory of the pretrained encoder. For a directory, the card shows
        only the name of the directory, not the path.
    license : str or None
        License of the pretrained encoder. If None, the card says that the files
        of the encoder do not name a license.
    label_sets : dict
        Maps the name of each task to its labels. If there is only one task, the key is
        None. If the dict is empty, the estimator does not predict labels.
    n_numbers : int
        How many numbers a regressor predicts for each text. If this is 0 and
        `label_sets` is empty, the estimator is a feature extractor.
    n_samples : int
        Number of training texts.
    history : list of dict
        Losses and scores of each epoch, as in ``history_``.
    versions : dict
        Version of each package.
    usage : str or None
        Section that shows how to use the directory. If None, the section shows how to
        load an estimator that ``save`` has written.

    Returns
    -------
    str
    """
    from huggingface_hub import ModelCardData

    is_local = os.path.isabs(encoder)
    shown = _code(os.path.basename(encoder) if is_local else encoder)
    predicts = label_sets or n_numbers
    pipeline = "text-classification" if predicts else "feature-extraction"
    front = ModelCardData(
        library_name="sklearn_attnft",
        base_model=None if is_local else encoder,
        license=license,
        pipeline_tag=pipeline,
        tags=["sklearn_attnft", "scikit-learn", "transformers", pipeline],
    )
    facts = [f"Encoder: {shown}" + (", a local directory" if is_local else "")]
    for task, labels in label_sets.items():
        title = "Labels" if task is None else f"Labels of {_code(task)}"
        facts.append(f"{title}: {len(labels)} ({_listed(labels)})")
    if n_numbers:
        facts.append(f"Numbers per text: {n_numbers}")
    facts += [f"Training texts: {n_samples}", f"Epochs: {len(history)}"]
    return TEMPLATE.format(
        front=front.to_yaml(),
        name=name,
        encoder=shown,
        facts="\n".join(f"- {fact}" for fact in facts),
        table=_table(history),
        usage=USAGE.format(name=name) if usage is None else usage,
        versions=", ".join(f"{package} {v}" for package, v in versions.items()),
        license=f"License of the encoder, according to its files: {_line(license)}."
        if license
        else "The files of the encoder do not name a license. Look the license up.",
    )


def _line(text):
    """Return text on one line, without characters that would break the Markdown."""
    # JSON can contain a lone surrogate, but UTF-8 cannot encode it.
    text = re.sub("[\ud800-\udfff]", "\ufffd", str(text))
    return " ".join(text.replace("`", " ").replace("|", " ").split())


def _code(text):
    return f"`{_line(text)}`"


def _listed(labels):
    more = ", ..." if len(labels) > MAX_LABELS else ""
    return ", ".join(map(_code, labels[:MAX_LABELS])) + more


def _table(history):
    """Return a table with the scores of each epoch, or "" without epochs."""
    if not history:
        return ""
    scores = [key for row in history for key in row if key.startswith(("train", "val"))]
    columns = ["stage", "epoch", *dict.fromkeys(scores)]
    rows = [[_cell(row.get(column, "")) for column in columns] for row in history]
    rows = [map(_line, columns), ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + "\n"


def _cell(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
