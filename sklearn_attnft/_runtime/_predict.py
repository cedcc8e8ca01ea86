# SPDX-License-Identifier: BSD-3-Clause
"""The prediction loop."""

import functools

import numpy as np
import torch

from .._data._batching import sorted_batches, tokens_per_batch
from .._data._tokens import chunks, tokenize
from .._utils._progress_bar import is_shown, open_bar
from ._device import autocast, is_out_of_memory, without_cudnn_attention


def run(forward, tokens, *, device, dtype, progress=None):
    """Run a module over tokens, longest texts first, and restore the order.

    Parameters
    ----------
    forward : callable
        From the fields of a ``TokenBatch`` to a tensor (n_texts, n_outputs).
    tokens : TokenizedTexts
    device : torch.device
    dtype : torch.dtype
    progress : tqdm or None
        Advanced by the texts done.

    Returns
    -------
    ndarray of float32, shape (n_texts, n_outputs)
    """

    def compute(indices, batch):
        return forward(*batch.inputs())

    result = None
    with (
        torch.inference_mode(),
        without_cudnn_attention(device),
        autocast(device, dtype),
    ):
        for indices, output in each_batch(compute, tokens, device):
            if result is None:
                result = np.empty((len(tokens), output.shape[1]), dtype=np.float32)
            result[indices] = output.float().cpu().numpy()
            if progress is not None:
                progress.update(len(indices))
    return result


def each_batch(compute, tokens, device):
    """Yield the texts of each batch and what is computed of it, longest texts first.

    A batch that does not fit the memory is run in halves.

    Parameters
    ----------
    compute : callable
        From indices of texts and their ``TokenBatch``.
    tokens : TokenizedTexts
    device : torch.device

    Yields
    ------
    indices : ndarray of int64
        Of the texts.
    output : object
        What `compute` returns.

    Raises
    ------
    MemoryError
        If the memory does not hold one text.
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
                    f"The memory of {device} does not hold one text of "
                    f"{tokens.n_tokens[indices[0]]} tokens: split the text, or fit "
                    "with a lower max_length and long_texts='truncate'."
                ) from error
            todo += np.array_split(indices, 2)[::-1]
            continue
        yield indices, output


def predict(forward, texts, *, tokenizer, device, dtype, verbose=0, cache=None):
    """Run a module over texts; identical texts are run once.

    Parameters are those of :func:`run` and :func:`tokenize`; `verbose` says if a
    progress bar is shown. With a `cache`, only texts are run whose outputs are not in
    it.

    Returns
    -------
    ndarray of float32, shape (n_texts, n_outputs)
    """
    position = {}
    inverse = [position.setdefault(text, len(position)) for text in texts]
    distinct = list(position)
    with open_bar(is_shown(verbose), total=len(distinct), desc="encode") as progress:

        def compute(texts):
            tokens, _ = tokenize(texts, tokenizer)
            return run(forward, tokens, device=device, dtype=dtype, progress=progress)

        if cache is not None:
            compute = functools.partial(_look_up, cache, compute, progress)
        parts = [compute(chunk) for chunk in chunks(distinct)]
    outputs = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return outputs if len(distinct) == len(texts) else outputs[inverse]


def _look_up(cache, compute, progress, texts):
    """Return outputs of texts, (n_texts, n_outputs); those not in the cache computed.

    Parameters
    ----------
    cache : _cache.Cache
    compute : callable
        From a list of str to outputs; advances `progress`.
    progress : tqdm
    texts : list of str
        Distinct.
    """
    n_computed = 0

    def compute_some(indices):
        nonlocal n_computed
        n_computed += len(indices)
        return compute([texts[i] for i in indices])

    # Half a surrogate pair is a str, but no UTF-8.
    contents = [text.encode("utf-8", "surrogatepass") for text in texts]
    rows = cache.fetch_floats(contents, compute_some)
    progress.update(len(texts) - n_computed)
    return np.stack(rows).astype(np.float32, copy=False)
