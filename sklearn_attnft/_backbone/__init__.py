# SPDX-License-Identifier: BSD-3-Clause
"""The one door to transformers: find, load and rebuild encoders and tokenizers.

transformers is imported inside the functions, so that importing the package, cloning
and grid-searching over parameters never pay for it.
"""

from ._blocks import encoder_blocks, shares_blocks
from ._digest import encoder_architecture, encoder_digest
from ._find import DEFAULT_ENCODER, find_encoder
from ._model import load_config, load_encoder, load_language_model, rebuild_encoder
from ._process import GENERATOR_LOCK
from ._tokenizer import TextTokenizer, load_tokenizer

__all__ = [
    "DEFAULT_ENCODER",
    "GENERATOR_LOCK",
    "TextTokenizer",
    "encoder_architecture",
    "encoder_blocks",
    "encoder_digest",
    "find_encoder",
    "load_config",
    "load_encoder",
    "load_language_model",
    "load_tokenizer",
    "rebuild_encoder",
    "shares_blocks",
]
