# SPDX-License-Identifier: BSD-3-Clause
"""Load fast tokenizers and convert texts to token ids."""

import functools
import itertools
import os
import re

import numpy as np
import torch

from .._data._template import Template, each_text
from .._utils._process import translate_errors
from ._bert import BertConfig
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
    """A fast tokenizer that converts texts to token ids without truncation or padding.

    Parameters
    ----------
    json : str
        The ``tokenizer.json`` of the encoder.
    pad_id : int
        Id of the padding token.
    mask_id : int or None
        Id of the mask token. None if the vocabulary does not contain one.
    max_length : int
        Maximum number of tokens in a window, including special tokens.
    long_texts : {"truncate", "window"}
        How texts longer than `max_length` tokens are handled.
    config : dict
        Content of the ``tokenizer_config.json`` that transformers needs to open the
        tokenizer.

    Attributes
    ----------
    templates : dict of Template
        The special tokens around a single text (key 1) and around a pair (key 2).
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
        self.templates = {
            1: Template.of(self._tokenizer.encode("a"), 1),
            2: Template.of(self._tokenizer.encode("a", "a"), 2),
        }
        two_words = self._tokenizer.encode("a a", add_special_tokens=False)
        self._cuts_at_spaces = len(set(two_words.word_ids)) > 1

    @property
    def settings(self):
        """All arguments of the constructor except `json`."""
        names = ("pad_id", "mask_id", "max_length", "long_texts", "config")
        return {name: getattr(self, name) for name in names}

    @property
    def n_positions(self):
        """Maximum number of tokens that the encoder can read at once."""
        return self.config["model_max_length"]

    @property
    def room(self):
        """Maximum number of tokens in a window, without special tokens."""
        return self.templates[1].room(self.max_length)

    def fits(self, n_embeddings):
        """Return whether all token ids are below the number of embeddings."""
        ids = {self.pad_id, self.filler_id}
        for template in self.templates.values():
            ids.update(np.concatenate(template.specials).tolist())
        ids |= set(self._tokenizer.get_vocab(with_added_tokens=True).values())
        return min(ids) >= 0 and max(ids) < n_embeddings

    @property
    def filler_id(self):
        """Id of the mask token. Without a mask token, id of the padding token."""
        return self.pad_id if self.mask_id is None else self.mask_id

    def encode(self, texts):
        """Return an array of token ids for each text, without special tokens.

        `texts` may contain pairs, which are tuples of two str. For a pair, this method
        returns a tuple of two arrays, and so do :meth:`words` and :meth:`spans`.
        """
        return each_text(self._ids, texts)

    def _ids(self, texts):
        return self._each(texts, self._tokenizer.encode_batch_fast, lambda e: e.ids)

    def words(self, texts):
        """Return an array of word numbers for each text, one number per token.

        Words are numbered from 1. The tokenizer decides which tokens form a word. Words
        always end at spaces, even if the tokenizer does not split texts there. In
        scripts without spaces between words, each token is a word. In a pair, the
        numbers of the second text continue after those of the first text.
        """
        return [
            (each[0], each[1] + each[0].max(initial=0))
            if isinstance(each, tuple)
            else each
            for each in each_text(self._words, texts)
        ]

    def _words(self, texts):
        words = self._each(texts, self._tokenizer.encode_batch, lambda e: e.word_ids)
        odd = [
            i
            for i, text in enumerate(texts)
            if not self._cuts_at_spaces or _UNSPACED.search(text)
        ]
        odd_texts = [texts[i] for i in odd]
        spans = self._each(odd_texts, self._tokenizer.encode_batch, lambda e: e.offsets)
        for i, text_spans in zip(odd, spans, strict=True):
            words[i] = _cut_words(texts[i], words[i], text_spans.tolist())
        return [numbers + 1 for numbers in words]

    def spans(self, texts):
        """Return the positions of the tokens in each text.

        Returns
        -------
        list of ndarray of int32, each (n_tokens, 2)
            Position of the first character of each token, and position after its last
            character. Spans are in ascending order, and a span is not empty. White
            space at the ends of a token is excluded, unless the token is only white
            space. If several tokens are parts of one character (for example its bytes),
            each of these tokens has the span of the character. If the tokenizer inserts
            a token before the text, the inserted token has the span of the first
            character.
        """
        return each_text(self._spans, texts)

    def _spans(self, texts):
        spans = self._each(texts, self._tokenizer.encode_batch, lambda e: e.offsets)
        return [
            np.array(
                [_strip(text, *span) for span in text_spans.tolist()], dtype=np.int32
            ).reshape(-1, 2)
            for text, text_spans in zip(texts, spans, strict=True)
        ]

    def _each(self, texts, encode_batch, field):
        """Tokenize texts, and return one field of each result as an array.

        Arrays need a tenth of the memory of lists.
        """
        arrays = []
        for start in range(0, len(texts), 1000):
            part = [_replace_surrogates(t) for t in texts[start : start + 1000]]
            encodings = encode_batch(part, add_special_tokens=False)
            arrays += [np.array(field(each), dtype=np.int32) for each in encodings]
        return arrays


def _cut_words(text, words, spans):
    """Renumber the words of a text so that a word also ends at each space.

    In scripts without spaces between words, each token is a word.
    """
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
    """Return the span of a token without white space at its ends.

    If the token is only white space, return the span unchanged.
    """
    token = text[start:end]
    if not token.strip():
        return start, end
    return end - len(token.lstrip()), start + len(token.rstrip())


def _replace_surrogates(text):
    # A lone surrogate cannot be encoded as UTF-8.
    return _SURROGATE.sub("\ufffd", text) if _SURROGATE.search(text) else text


def load_tokenizer(encoder, config, *, max_length, long_texts):
    """Load the fast tokenizer of an encoder.

    All fits in a process share the tokenizer, because no fit changes it. If
    `max_length` is too large for the encoder, ValueError is raised.
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
    # If files are missing, transformers returns a tokenizer with only special tokens.
    empty = len(tokenizer) <= len(tokenizer.all_special_ids)
    if empty or not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise ValueError(_no_fast_tokenizer(encoder))
    n_positions = count_positions(config) or tokenizer.model_max_length
    if max_length > n_positions:
        raise ValueError(
            f"max_length={max_length} is more than the {n_positions} tokens that "
            f"encoder={str(encoder)!r} can read at once. Set max_length to at most "
            f"{n_positions}. To read longer texts completely, set long_texts='window'."
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
            f"encoder={str(encoder)!r} has {config.vocab_size} token embeddings, but "
            "its tokenizer has tokens with higher ids. Tokens were probably added to "
            "the tokenizer only. Save the model again after "
            "model.resize_token_embeddings(len(tokenizer))."
        )
    return made


def _refuse_other_classes(source, config):
    """Raise ValueError if the `tokenizer_class` of a model is not a tokenizer.

    Creating an object of such a class could load further files or code.
    """
    import transformers
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    in_config = getattr(config, "tokenizer_class", None)
    for name in (in_config, get_tokenizer_config(source).get("tokenizer_class")):
        named = getattr(transformers, name, None) if name is not None else None
        is_class = isinstance(named, type)
        if is_class and not issubclass(named, transformers.PreTrainedTokenizerBase):
            raise ValueError(f"{name} is not a tokenizer class")


def count_positions(config):
    """Return the number of tokens that the encoder can read at once.

    If the encoder does not have a limit, return None. In the RoBERTa family, the
    positions of a text start after the id of the padding token. So the first rows of
    the matrix of position embeddings are not used, and are not counted.
    """
    n_positions = getattr(config, "max_position_embeddings", None)
    if not n_positions:
        return None
    if isinstance(config, BertConfig):
        return n_positions
    from transformers import MODEL_MAPPING

    with torch.device("meta"):
        skeleton = MODEL_MAPPING[type(config)](config)
    for name, module in skeleton.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            return n_positions - padding - 1
    return n_positions


def _no_fast_tokenizer(encoder):
    directory = find_encoder(encoder)
    if os.path.isdir(directory) and not os.path.isfile(f"{directory}/tokenizer.json"):
        return (
            f"encoder={str(encoder)!r} must have a tokenizer, but its directory has no "
            "tokenizer.json (weights without a tokenizer cannot read texts). Save the "
            "tokenizer that the weights were trained with into the same directory: "
            f"AutoTokenizer.from_pretrained(...).save_pretrained({directory!r})."
        )
    return (
        f"encoder={str(encoder)!r} must have a fast tokenizer with a padding token (a "
        "tokenizer.json in the directory of its weights), but no such tokenizer could "
        "be loaded. Convert the tokenizer with transformers "
        "(AutoTokenizer.from_pretrained(...).save_pretrained(...)) or pass another "
        "encoder."
    )
