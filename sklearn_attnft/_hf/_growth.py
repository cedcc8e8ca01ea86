# SPDX-License-Identifier: BSD-3-Clause
"""Refuse tokenizers that make short texts very long.

A normalizer can replace each character by several characters. With a few dozen such
normalizers in a row, even a text of ten characters can exhaust the memory. So the
growth factors of all steps are multiplied before the tokenizer is used.
"""

import json
import math

# Largest factor by which a tokenizer may lengthen a text, in bytes. The tokenizers of
# all families in transformers have factors below 1,000.
MAX_GROWTH = 2**14
# Growth factor of each type of step. Types that are not listed have the factor OTHER.
GROWTH = {
    "BertNormalizer": 3.0,
    "BertPreTokenizer": 1.0,
    "ByteLevel": 2.0,
    "Digits": 1.0,
    "Lowercase": 1.5,
    "Metaspace": 3.0,
    "NFC": 3.0,
    "NFD": 4.0,
    "NFKC": 18.0,
    "NFKD": 18.0,
    "Nmt": 1.0,
    "Precompiled": 18.0,
    "Prepend": 1.0,
    "Punctuation": 1.0,
    "Split": 1.0,
    "Strip": 1.0,
    "StripAccents": 1.0,
    "UnicodeScripts": 1.0,
    "Whitespace": 1.0,
    "WhitespaceSplit": 1.0,
}
OTHER = 4.0
# Steps that have no further effect when they are repeated.
IDEMPOTENT = {"Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Precompiled"}


def check_growth(tokenizer_json):
    """Raise ValueError if a tokenizer can lengthen texts too much.

    Parameters
    ----------
    tokenizer_json : str
        The content of ``tokenizer.json``.
    """
    stored = json.loads(tokenizer_json)
    steps = [*_steps(stored.get("normalizer")), *_steps(stored.get("pre_tokenizer"))]
    once = {step["type"]: step for step in steps if step["type"] in IDEMPOTENT}
    others = [step for step in steps if step["type"] not in IDEMPOTENT]
    growth = math.prod(_growth(step) for step in [*once.values(), *others])
    if growth > MAX_GROWTH:
        raise ValueError(
            f"The normalizers of the tokenizer can make a text {growth:.3g} times as "
            f"long as before. At most {MAX_GROWTH} times is allowed. Use an "
            "encoder with another tokenizer."
        )


def _steps(step):
    """Return the steps of a normalizer or pre-tokenizer, which may be nested."""
    if step is None:
        return []
    parts = step.get("normalizers", step.get("pretokenizers"))
    if parts is None:
        return [step]
    return [each for part in parts for each in _steps(part)]


def _growth(step):
    """Return the largest factor by which a step can lengthen a text."""
    if step["type"] != "Replace":
        return GROWTH.get(step["type"], OTHER)
    pattern, n_bytes = step["pattern"], len(step["content"].encode())
    if "String" in pattern:
        return max(1.0, n_bytes / max(1, len(pattern["String"].encode())))
    return 1.0 + n_bytes  # a regular expression can match everywhere
