# SPDX-License-Identifier: BSD-3-Clause
"""Phrases for error messages."""

# Beginnings of type names that are read with a vowel: int, ndarray. Not "u", as uint8.
_VOWELS = ("a", "e", "i", "o", "nd")


def describe_type(value):
    """Return the type of a value with its article, as "an int" or "a dict"."""
    if value is None:
        return "None"
    kind = type(value).__name__
    article = "an" if kind.lower().startswith(_VOWELS) else "a"
    noun = " object" if isinstance(value, (bytes, bytearray)) else ""
    return f"{article} {kind}{noun}"
