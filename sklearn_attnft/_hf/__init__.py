# SPDX-License-Identifier: BSD-3-Clause
"""Find, load and rebuild encoders and tokenizers. Only this folder uses transformers.

In this folder, functions import transformers when they run, so that importing the
package, cloning and creating parameter grids are fast.
"""

from ._blocks import encoder_blocks, shares_blocks
from ._digest import encoder_architecture, encoder_digest, same_bits
from ._find import (
    DEFAULT_ENCODER,
    as_absolute,
    encoder_license,
    find_encoder,
    install_hint,
)
from ._identity import encoder_identity, once_per_process
from ._inputs import encoder_inputs
from ._model import load_config, load_encoder, load_language_model
from ._packed import pack_encoder, packing_pays
from ._partial import cut_encoder
from ._rebuild import copy_for_export, encoder_config, encoder_skeleton
from ._tokenizer import TextTokenizer, count_positions, load_tokenizer

__all__ = [
    "DEFAULT_ENCODER",
    "TextTokenizer",
    "as_absolute",
    "copy_for_export",
    "count_positions",
    "cut_encoder",
    "encoder_architecture",
    "encoder_blocks",
    "encoder_config",
    "encoder_digest",
    "encoder_identity",
    "encoder_inputs",
    "encoder_license",
    "encoder_skeleton",
    "find_encoder",
    "install_hint",
    "load_config",
    "load_encoder",
    "load_language_model",
    "load_tokenizer",
    "once_per_process",
    "pack_encoder",
    "packing_pays",
    "same_bits",
    "shares_blocks",
]
