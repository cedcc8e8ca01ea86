# SPDX-License-Identifier: BSD-3-Clause
"""Encodings, which compute the hidden states of an encoder.

An encoding is a callable with this signature::

    encoding(encoder, input_ids, attention_mask, layers) -> list of tensor or tensor

Each tensor of a list has the shape (n_windows, n_tokens, n_features) and holds the
hidden states of one layer in `layers`. Layer 0 is the embeddings. The mask is 0 for
padding, else 1 plus the token type. `_runtime._encoder_cache` has an encoding that
reads hidden states from a cache. `_fit._frozen_states` has an encoding that starts from
the output of the frozen blocks. If all blocks are frozen, it returns the tensor that
``TextModel.prepare`` returns instead of a list.
"""

from .. import _hf


class PlainEncoding:
    """An encoding that runs the encoder up to the highest layer in `layers`."""

    def __init__(self):
        self._lower = {}  # from a highest layer to a CutEncoder or None

    def __getstate__(self):
        # A CutEncoder holds an encoder and data of one thread. A copy of this object
        # must create its own CutEncoder objects.
        return {"_lower": {}}

    def __call__(self, encoder, input_ids, attention_mask, layers):
        """Return the hidden states of `layers`."""
        n_layers, top = encoder.config.num_hidden_layers, max(layers)
        if top < n_layers:
            if top not in self._lower:
                self._lower[top] = _hf.cut_encoder(encoder, top)
            if self._lower[top] is not None:
                states = self._lower[top].lower(input_ids, attention_mask)
                return [states[layer] for layer in layers]
        return run_encoder(encoder, attention_mask, layers, input_ids=input_ids)


def run_encoder(encoder, attention_mask, layers, **inputs):
    """Run all blocks of an encoder and return the hidden states of `layers`.

    Parameters
    ----------
    encoder : torch.nn.Module
    attention_mask : tensor of int64, shape (n_windows, n_tokens)
        0 for padding, else 1 plus the token type.
    layers : tuple of int
    **inputs : tensor
        ``input_ids`` of shape (n_windows, n_tokens), or ``inputs_embeds`` of shape
        (n_windows, n_tokens, n_embedding).

    Returns
    -------
    list of tensor, each (n_windows, n_tokens, n_features)
    """
    only_last = tuple(layers) == (encoder.config.num_hidden_layers,)
    inputs |= _hf.encoder_inputs(encoder, attention_mask)
    output = encoder(**inputs, output_hidden_states=not only_last)
    if only_last:
        return [output.last_hidden_state]
    return [output.hidden_states[layer] for layer in layers]


def window_keys(input_ids, attention_mask):
    """Return bytes that identify the token ids and the token types of each window.

    Each token becomes an int64 number. The lower half of the number is the token id,
    and the upper half is the token type.

    Parameters
    ----------
    input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)

    Returns
    -------
    list of bytes
    """
    ids, mask = input_ids.cpu().numpy(), attention_mask.cpu().numpy()
    numbers = (ids + ((mask - 1) << 32)).astype("<i8", copy=False)
    lengths = (mask > 0).sum(axis=1)
    return [row[:n].tobytes() for row, n in zip(numbers, lengths, strict=True)]
