# SPDX-License-Identifier: BSD-3-Clause
"""How a text model gets the hidden states of its encoder.

An encoding is a callable with one signature::

    encoding(encoder, input_ids, attention_mask, layers) -> list of tensor

It returns the hidden states of the wanted `layers` (0 for the embeddings), each of
shape (n_windows, n_tokens, n_features). Here is the plain one; others look states up
in a cache (`_runtime._encoder_cache`) or start from those of frozen blocks
(`_fit._frozen_states`).
"""

from .. import _hf


class PlainEncoding:
    """Run the encoder up to the highest wanted layer."""

    def __init__(self):
        self._lower = {}  # from the highest layer to a CutEncoder, or None

    def __getstate__(self):
        # A CutEncoder holds an encoder and what belongs to a thread: a copy of this
        # object makes its own.
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
    """Run all blocks of an encoder; return the hidden states of `layers`.

    Parameters
    ----------
    encoder : torch.nn.Module
    attention_mask : tensor of int64, shape (n_windows, n_tokens)
    layers : tuple of int
    **inputs : tensor
        ``input_ids`` of shape (n_windows, n_tokens), or ``inputs_embeds`` of shape
        (n_windows, n_tokens, n_embedding).

    Returns
    -------
    list of tensor, each (n_windows, n_tokens, n_features)
    """
    only_last = tuple(layers) == (encoder.config.num_hidden_layers,)
    output = encoder(
        **inputs, attention_mask=attention_mask, output_hidden_states=not only_last
    )
    if only_last:
        return [output.last_hidden_state]
    return [output.hidden_states[layer] for layer in layers]
