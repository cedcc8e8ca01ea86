"""Create a random BERT with two small layers and a word-list tokenizer."""

import os
import tempfile
import time
from pathlib import Path

# The path is known at collection, so that checks can be parametrized with estimators
# that have it, and equal in all processes of a run. A session fixture writes the files.
ENCODER = os.environ.setdefault(
    "TINY_ENCODER",
    str(Path(tempfile.gettempdir()) / f"sklearn-attnft-tiny-{time.time_ns()}"),
)
N_LAYERS, HIDDEN_SIZE, N_POSITIONS = 2, 32, 64
# Parameters of a classifier that fits quickly.
PARAMETERS = {
    "encoder": ENCODER,
    "max_length": 32,
    "max_epochs": 3,
    "trainable_layers": "blocks",  # both random blocks have to learn
    "batch_size": 8,
    "learning_rate": 1e-3,
    "head_learning_rate": 1e-2,
    "random_state": 0,
    "precision": "float32",  # the same on any machine
}
WORDS = (
    "a all am and are at awful bad be best big bird black bright by cat cold day did "
    "do dog fine fish fly for fun funny good great had happy hate have he her his hot "
    "how i in is it joy like long love lovely man me mood my nice night no not of on "
    "poor rain red ride sad say see she short slow so star sun that the they thing "
    "this time to too ugly very was we well what when where white who why wind with "
    "wonderful worst year you . , ! ? ' -"
).split()


def save_tiny_encoder(directory=ENCODER, *, seed=0, words=WORDS):
    """Write the encoder to `directory`, in the format of ``save_pretrained``."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(i) for i in range(ord("a"), ord("z") + 1)]
    listed = dict.fromkeys([*special, *words, *letters, *(f"##{c}" for c in letters)])
    vocabulary = {word: i for i, word in enumerate(listed)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=N_POSITIONS,
    ).save_pretrained(directory)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=HIDDEN_SIZE,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=N_POSITIONS,
        initializer_range=0.2,  # large, so that a bug in a layer changes the output
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(directory)
    return directory
