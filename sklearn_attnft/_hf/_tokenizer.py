# SPDX-License-Identifier: BSD-3-Clause
"""Fast tokenizers: texts to token ids."""

import functools
import itertools
import re

import numpy as np
import torch

from .._utils._process import translate_errors
from ._find import find_encoder, refuse_own_code
from ._growth import check_growth
from ._identity import encoder_identity, once_per_process
from ._quiet import quiet

_SURROGATE = re.compile("[\ud800-\udfff]")
# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, ideographs.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)


class TextTokenizer:
    """A fast tokenizer: texts to token ids, neither cut nor padded.

    Parameters
    ----------
    json : str
        The ``tokenizer.json`` of the encoder.
    pad_id : int
        Id of the padding token.
    mask_id : int or None
        Id of the token that masks others; None: the vocabulary has none.
    max_length : int
        Tokens that the encoder is to read at once, special ones included.
    long_texts : {"truncate", "window"}
        How longer texts are to be cut.
    config : dict
        The ``tokenizer_config.json`` that makes transformers open it.

    Attributes
    ----------
    prefix, suffix : list of int
        Special tokens that go before and after a text.
    """

    def __init__(self, json, *, pad_id, mask_id, max_length, long_texts, config):
        from tokenizers import Tokenizer

        check_growth(json)
        self.json = json
        self.pad_id = pad_id
        self.mask_id = mask_id
        self.max_length = max_length
        self.long_texts = long_texts
        self.config = config
        self._tokenizer = Tokenizer.from_str(json)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # "[SEP]" typed by a user is text, not a separator.
        self._tokenizer.encode_special_tokens = True
        example = self._tokenizer.encode("a")
        text = [i for i, m in enumerate(example.special_tokens_mask) if not m]
        self.prefix = example.ids[: text[0]]
        self.suffix = example.ids[text[-1] + 1 :]
        pair = self._tokenizer.encode("a a", add_special_tokens=False)
        self._cuts_at_spaces = len(set(pair.word_ids)) > 1

    @property
    def settings(self):
        """The arguments that make such a tokenizer, but for the json."""
        names = ("pad_id", "mask_id", "max_length", "long_texts", "config")
        return {name: getattr(self, name) for name in names}

    @property
    def room(self):
        """Tokens of text that go into `max_length` beside the special ones."""
        return self.max_length - len(self.prefix) - len(self.suffix)

    def fits(self, n_embeddings):
        """Tell whether an encoder with so many token embeddings has all tokens."""
        ids = {self.pad_id, self.filler_id, *self.prefix, *self.suffix}
        ids |= set(self._tokenizer.get_vocab(with_added_tokens=True).values())
        return min(ids) >= 0 and max(ids) < n_embeddings

    @property
    def filler_id(self):
        """Id of the token that says the least: it masks, or it pads."""
        return self.pad_id if self.mask_id is None else self.mask_id

    def encode(self, texts):
        """Tokenise a list of str; return for each an array of its ids, none special."""
        return self._each(texts, self._tokenizer.encode_batch_fast, lambda e: e.ids)

    def words(self, texts):
        """Tokenise a list of str; return for each the number, from 1, of each word.

        Pieces of one word have one number; what is a word the tokenizer says. Where it
        does not cut at spaces, they end words, and in a script that has none between
        words each token is one.
        """
        words = self._each(texts, self._tokenizer.encode_batch, lambda e: e.word_ids)
        odd = [
            i
            for i, text in enumerate(texts)
            if not self._cuts_at_spaces or _UNSPACED.search(text)
        ]
        odd_texts = [texts[i] for i in odd]
        spans = self._each(odd_texts, self._tokenizer.encode_batch, lambda e: e.offsets)
        for i, of_text in zip(odd, spans, strict=True):
            words[i] = _cut_words(texts[i], words[i], of_text.tolist())
        return [numbers + 1 for numbers in words]

    def spans(self, texts):
        """Tokenise a list of str; return for each where its tokens are in it.

        Returns
        -------
        list of ndarray of int32, each (n_tokens, 2)
            Characters from and to, in ascending order, none empty. White space at the
            ends of a token is left out, unless there is nothing else in it. Tokens
            that share a character, such as its bytes, have the whole of it each; so
            has the first one with a token that the tokenizer puts before the text.
        """
        spans = self._each(texts, self._tokenizer.encode_batch, lambda e: e.offsets)
        return [
            np.array(
                [_strip(text, *span) for span in of_text.tolist()], dtype=np.int32
            ).reshape(-1, 2)
            for text, of_text in zip(texts, spans, strict=True)
        ]

    def _each(self, texts, encode_batch, field):
        """Return an array for each text; lists of Python's int take ten times more."""
        arrays = []
        for start in range(0, len(texts), 1000):
            part = [_replace_surrogates(t) for t in texts[start : start + 1000]]
            encodings = encode_batch(part, add_special_tokens=False)
            arrays += [np.array(field(each), dtype=np.int32) for each in encodings]
        return arrays


def _cut_words(text, words, spans):
    """Return words numbered anew: cut at spaces, or where a script has none."""
    begins = np.zeros(len(words), dtype=bool)
    begins[1:] = np.diff(words) != 0
    for i, ((start, middle), (_, end)) in enumerate(itertools.pairwise(spans), 1):
        last, fresh = text[start:middle], text[middle:end]
        if not fresh:  # more bytes of the same character
            continue
        is_space = fresh[0].isspace() or (last.strip() and last[-1].isspace())
        if is_space or _UNSPACED.search(last[-1:] + fresh[0]):
            begins[i] = True
    return begins.cumsum()


def _strip(text, start, end):
    """Return the span without the white space at its ends, if something is left."""
    token = text[start:end]
    if not token.strip():
        return start, end
    return end - len(token.lstrip()), start + len(token.rstrip())


def _replace_surrogates(text):
    # Half a surrogate pair is no character: it cannot be encoded, only replaced.
    return _SURROGATE.sub("\ufffd", text) if _SURROGATE.search(text) else text


def load_tokenizer(encoder, config, *, max_length, long_texts):
    """Load the encoder's fast tokenizer; check that it has room for `max_length`.

    Nothing in it is ever changed, so that fits in one process share it.
    """
    return once_per_process(
        encoder_identity(encoder),
        ("tokenizer", max_length, long_texts),
        functools.partial(_read_tokenizer, encoder, config, max_length, long_texts),
    )


def _read_tokenizer(encoder, config, max_length, long_texts):
    from transformers import AutoTokenizer

    source = find_encoder(encoder)

    def unreadable(error):
        refuse_own_code(encoder, error)
        return ValueError(_no_fast_tokenizer(encoder))

    with translate_errors(unreadable), quiet():
        _refuse_other_classes(source, config)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    # From a directory without a vocabulary transformers makes a tokenizer that knows
    # special tokens only.
    empty = len(tokenizer) <= len(tokenizer.all_special_ids)
    if empty or not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise ValueError(_no_fast_tokenizer(encoder))
    n_positions = count_positions(config) or tokenizer.model_max_length
    if max_length > n_positions:
        raise ValueError(
            f"max_length={max_length} is more than the {n_positions} tokens that "
            f"encoder={str(encoder)!r} has positions for: set max_length to at most "
            f"{n_positions}, and long_texts='window' to read longer texts whole."
        )
    with translate_errors(unreadable):
        made = TextTokenizer(
            tokenizer.backend_tokenizer.to_str(),
            pad_id=tokenizer.pad_token_id,
            mask_id=tokenizer.mask_token_id,
            max_length=max_length,
            long_texts=long_texts,
            config={
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": n_positions,
                **{
                    name: str(token)
                    for name, token in tokenizer.special_tokens_map.items()
                    if not isinstance(token, list)
                },
            },
        )
    if not made.fits(config.vocab_size):
        raise ValueError(
            f"encoder={str(encoder)!r} has {config.vocab_size} token embeddings, and "
            "its tokenizer has tokens of higher numbers: it was added to. Save the "
            "model again after model.resize_token_embeddings(len(tokenizer))."
        )
    return made


def _refuse_other_classes(source, config):
    """Refuse a class that is no tokenizer: to make one is to load what a file names."""
    import transformers
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    of_config = getattr(config, "tokenizer_class", None)
    for name in (of_config, get_tokenizer_config(source).get("tokenizer_class")):
        named = getattr(transformers, name, None) if name is not None else None
        is_class = isinstance(named, type)
        if is_class and not issubclass(named, transformers.PreTrainedTokenizerBase):
            raise ValueError(f"{name} is no class of tokenizers")


def count_positions(config):
    """Return how many tokens the encoder has positions for; None: it does not say.

    The RoBERTa family counts positions from behind the padding token's: its table of
    them has a row for padding, and none of the rows up to it is a text's.
    """
    from transformers import MODEL_MAPPING

    n_positions = getattr(config, "max_position_embeddings", None)
    if not n_positions:
        return None
    with torch.device("meta"):
        skeleton = MODEL_MAPPING[type(config)](config)
    for name, module in skeleton.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            return n_positions - padding - 1
    return n_positions


def _no_fast_tokenizer(encoder):
    return (
        f"encoder={str(encoder)!r} has no fast tokenizer with a padding token (a "
        "tokenizer.json beside its weights). Convert it with transformers "
        "(AutoTokenizer.from_pretrained(...).save_pretrained(...)) or take another "
        "encoder."
    )
