# SPDX-License-Identifier: BSD-3-Clause
"""Parts of error messages."""

# Type names that begin with these letters, such as int and ndarray, get the article
# "an". The letter "u" is missing because "uint8" gets "a".
_VOWELS = ("a", "e", "i", "o", "nd")


def describe_type(value):
    """Return the type of a value with an article, such as "an int"."""
    if value is None:
        return "None"
    kind = type(value).__name__
    article = "an" if kind.lower().startswith(_VOWELS) else "a"
    noun = " object" if isinstance(value, (bytes, bytearray)) else ""
    return f"{article} {kind}{noun}"


def shorten(value, length, write=repr):
    """Return a value as text of at most `length` characters, cut with "..."."""
    text = write(value)
    return text if len(text) <= length else f"{text[: length - 3]}..."
