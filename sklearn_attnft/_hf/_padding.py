# SPDX-License-Identifier: BSD-3-Clause
"""Find encoders whose outputs for a text depend on the other texts of a batch."""

import torch
from torch.nn import functional as F

from .._utils._messages import shorten
from .._utils._process import (
    in_float32,
    on_cpu,
    preserve_generator,
    translate_errors,
)
from ._find import DEFAULT_ENCODER
from ._inputs import encoder_inputs


def refuse_reading_of_padding(model, encoder):
    """Raise ValueError if the hidden states of a text depend on its padding.

    The predictions of such an encoder would depend on the other texts of the batch.

    Parameters
    ----------
    model : torch.nn.Module
        An encoder in evaluation mode.
    encoder : str or path-like
        Its name, for the message.
    """
    named = f"encoder={str(encoder)!r} (model type {model.config.model_type!r})"
    other = (
        f"Pass {DEFAULT_ENCODER!r}, or a BERT, RoBERTa, DeBERTa or ModernBERT model."
    )

    def cannot_read(error):
        return ValueError(
            f"{named} cannot read a text of 4 tokens ({type(error).__name__}: "
            f"{shorten(error, 120, str)}). {other}"
        )

    padding = getattr(model.config, "pad_token_id", None) or 0
    if not 0 <= padding < model.config.vocab_size:  # the tokenizer has another id
        padding = 0
    with (
        translate_errors(cannot_read),
        preserve_generator(),
        torch.no_grad(),
        on_cpu(),
        in_float32(torch.device("cpu")),
    ):
        ids = torch.tensor([[each for each in range(1, 6) if each != padding][:4]])
        alone, beside = (
            model(
                input_ids=F.pad(ids, (0, n), value=padding),
                **encoder_inputs(model, F.pad(torch.ones_like(ids), (0, n))),
            ).last_hidden_state
            for n in (0, 3)
        )
    difference = (alone - beside[:, : alone.shape[1]]).abs().max()
    if difference > 1e-4 * alone.abs().max():  # 1e-6 is rounding
        raise ValueError(
            f"{named} reads the padding of a batch, so the prediction for a text would "
            f"depend on the other texts. {other}"
        )
