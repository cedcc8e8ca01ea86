# SPDX-License-Identifier: BSD-3-Clause
"""The loop that computes predictions in batches."""

import functools
import math

import numpy as np
import torch

from .._data._batching import sorted_batches, tokens_per_batch
from .._data._text_parts import TextParts
from .._data._tokens import chunks, tokenize
from .._utils._progress_bar import is_shown, open_bar
from ._device import (
    autocast,
    is_out_of_memory,
    trim_memory,
    without_cudnn_attention,
)
from ._packed_encoding import with_packed_weights

# If a call has more than MANY_BATCHES full batches, its batches of texts of one length
# have at most SIZES_PER_LENGTH different sizes.
MANY_BATCHES, SIZES_PER_LENGTH = 16, 8
BAR_DELAY = 2.0  # seconds after which a call shows its progress bar


def predict(
    model, texts, *, tokenizer, machine, output="logits", verbose=0, cache=None
):
    """Run a model on texts.

    If a list contains a text several times, the model runs on this text only once.

    Parameters
    ----------
    model : TextModel
    texts : list or TextParts
    tokenizer : TextTokenizer
    machine : Machine
    output : {"logits", "contexts"}
    verbose : int
        Parameter `verbose` of the estimators, which selects whether to show a progress
        bar. A call that takes less than `BAR_DELAY` seconds shows no bar.
    cache : Cache or None
        If given, the model runs only on texts whose output is not in the cache.

    Returns
    -------
    ndarray of float32, shape (n_texts, n_outputs)
    """
    n = len(texts)
    bar = {"total": n, "desc": "encode", "delay": BAR_DELAY}
    with open_bar(is_shown(verbose), **bar) as progress:
        prediction = _Prediction(model, tokenizer, machine, output, progress, cache)
        if isinstance(texts, TextParts):
            return _joined(map(prediction.of_list, texts), np.arange(n), n)
        return prediction.of_list(texts)


def _joined(parts, rows, n):
    """Return an array of `n` rows.

    Row i of the concatenated arrays in `parts` becomes row ``rows[i]`` of the result.
    """
    joined, start = None, 0
    for part in parts:
        if len(part) == n:
            return part
        if joined is None:  # allocated once, because it can be large
            joined = np.empty((n, part.shape[1]), dtype=part.dtype)
        joined[rows[start : start + len(part)]] = part
        start += len(part)
        trim_memory()
    return joined


class _Prediction:
    """Outputs of a model for distinct texts, computed or read from a cache."""

    def __init__(self, model, tokenizer, machine, output, progress, cache):
        self._model = model
        self._tokenizer = tokenizer
        self._machine = machine
        self._output = output
        self._progress = progress
        self._cache = cache

    def of_list(self, texts):
        """Return the outputs of a list of texts, shape (n_texts, n_outputs)."""
        first = {}  # from each distinct text to its first index
        same = (first.setdefault(text, i) for i, text in enumerate(texts))
        same = np.fromiter(same, np.intp)
        distinct, rows = list(first), np.fromiter(first.values(), np.intp)
        del first
        self._progress.update(len(texts) - len(distinct))
        outputs = _joined(map(self._outputs, chunks(distinct)), rows, len(texts))
        (copies,) = np.nonzero(same != np.arange(len(texts)))
        outputs[copies] = outputs[same[copies]]
        return outputs

    def _outputs(self, texts):
        """Return the outputs of distinct texts."""
        if self._cache is None:
            return self._compute(texts)
        self._texts, self._n_computed = texts, 0
        # A str can contain a lone surrogate, which plain UTF-8 cannot encode.
        contents = [text.encode("utf-8", "surrogatepass") for text in texts]
        rows = self._cache.fetch_floats(contents, self._compute_missing)
        self._progress.update(len(texts) - self._n_computed)
        return np.stack(rows).astype(np.float32, copy=False)

    def _compute(self, texts):
        tokens, _ = tokenize(texts, self._tokenizer)
        return run(
            self._model, tokens, self._machine, self._output, progress=self._progress
        )

    def _compute_missing(self, indices):
        self._n_computed += len(indices)
        return self._compute([self._texts[i] for i in indices])


def run(model, tokens, machine, output="logits", *, progress=None):
    """Run a model on tokenized texts.

    The model runs on the longest texts first. The outputs have the order of `tokens`.

    Parameters
    ----------
    model : TextModel
    tokens : TokenizedTexts
    machine : Machine
    output : {"logits", "contexts"}
    progress : tqdm or None
        Progress bar, which is advanced by the number of texts in each batch.

    Returns
    -------
    ndarray of float32, shape (n_texts, n_outputs)
    """
    device, result = machine.device, None
    is_long = tokens.n_tokens.sum() > MANY_BATCHES * tokens_per_batch(device)
    forward = functools.partial(
        _forward_rounded if is_long and device.type == "cpu" else _forward,
        with_packed_weights(model),
        output,
    )
    with (
        torch.inference_mode(),
        without_cudnn_attention(device),
        autocast(device, machine.dtype),
    ):
        for indices, outputs in each_batch(forward, tokens, device):
            if result is None:
                result = np.empty((len(tokens), outputs.shape[1]), dtype=np.float32)
            result[indices] = outputs.float().cpu().numpy()
            if progress is not None:
                progress.update(len(indices))
    return result


def _forward(model, output, indices, batch):
    return forward_in_parts(model, *batch.inputs(), output=output)


def _forward_rounded(model, output, indices, batch):
    """Round up the number of rows of a batch, and run a model on the batch.

    The added rows repeat the last row. oneDNN keeps about 2 MB for each shape of a
    batch, so a call with many batches should have few shapes.
    """
    input_ids, attention_mask, windows_per_text = batch.inputs()
    n, length = input_ids.shape
    most = max(n, tokens_per_batch(input_ids.device) // length)
    step = math.ceil(most / SIZES_PER_LENGTH)
    n_rows = min(most, math.ceil(n / step) * step)
    if windows_per_text is None and n_rows > n:
        rows = torch.arange(n_rows).clamp(max=n - 1)
        input_ids, attention_mask = input_ids[rows], attention_mask[rows]
    inputs = input_ids, attention_mask, windows_per_text
    return forward_in_parts(model, *inputs, output=output)[: len(indices)]


def forward_in_parts(
    model, input_ids, attention_mask, windows_per_text=None, *, output="logits"
):
    """Run a model on a batch, and encode only a few windows at a time.

    A long text has many windows. The hidden states of all layers need several times as
    much memory as the token vectors computed from them. So the windows are encoded in
    parts, and only the token vectors of all parts are kept.

    Parameters
    ----------
    model : TextModel
    input_ids, attention_mask, windows_per_text : tensor
        Arguments of ``TextModel.forward``.
    output : {"logits", "contexts", "token_shares"}

    Returns
    -------
    tensor
    """
    n = max(1, tokens_per_batch(input_ids.device) // input_ids.shape[1])
    if n >= len(input_ids) and output == "logits":
        return model(input_ids, attention_mask, windows_per_text)  # also runs hooks
    pairs = zip(input_ids.split(n), attention_mask.split(n), strict=True)
    parts = [model.mix(ids, mask) for ids, mask in pairs]
    mixed = parts[0]
    if len(parts) > 1:
        mixed = [torch.cat(task_parts) for task_parts in zip(*parts, strict=True)]
    return getattr(model, output)(mixed, attention_mask, windows_per_text)


def each_batch(compute, tokens, device):
    """Yield the indices of the texts and the output of each batch.

    The batches with the longest texts come first. If a batch does not fit into memory,
    the batch is split into two.

    Parameters
    ----------
    compute : callable
        Function of two arguments: the indices of the texts in a batch, and the
        ``TokenBatch``.
    tokens : TokenizedTexts
    device : torch.device

    Yields
    ------
    indices : ndarray of int64
    output : object
        The return value of `compute`.

    Raises
    ------
    MemoryError
        If a single text does not fit into memory.
    """
    todo = sorted_batches(tokens, tokens_per_batch(device))[::-1]
    while todo:
        indices = todo.pop()
        try:
            output = compute(indices, tokens.batch(indices).to(device))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(indices) == 1:
                raise MemoryError(
                    f"The memory of {device} is too small for one text of "
                    f"{tokens.n_tokens[indices[0]]} tokens. Split the text, or fit "
                    "with a lower max_length and long_texts='truncate'."
                ) from error
            todo += np.array_split(indices, 2)[::-1]
            continue
        yield indices, output
