"""Fine-tuning: our defaults, transformers' Trainer, skorch with Hugging Face.

"trainer": the Trainer's defaults: batches of 8 in random order, padded to the longest
of the batch (what its default collator does with a tokenizer), learning rate 5e-5 that
falls to 0, fused AdamW, dropout as in the encoder's configuration, float32.
"trainer-best": batches of 32 texts of like length (``group_by_length``), in bfloat16
where the hardware multiplies in it, at our learning rate and warm-up.
"skorch": as in skorch's notebook Hugging_Face_Finetuning: texts padded to 256 tokens,
batches of 8, AdamW at 5e-5 that falls to 0, a fifth of the texts held out.

The same texts, epochs and 256 tokens for all; of longer texts ours drops the middle,
the others the end. Tokenising and loading weights is part of a fit; each contestant
fits a few texts before it is timed for the first time. Predicting is not part of it.
"""

import functools
import tempfile

import numpy as np
import torch

from sklearn_attnft import AttentionFineTuneClassifier

from .._common import draw, read
from ._contest import Contest, device, dtype, encoder, timed

METRIC, REPEATS = "seconds", 3
# Training part, rows, test part, epochs.
DATASETS = {
    "trec": ("train", None, "test", 3),
    "ag_news": ("train", 2000, "test_small", 2),
    "imdb": ("train", 1000, "test_small", 2),
}
MAX_LENGTH = 256
BEST = {
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 32,
    "learning_rate": 2e-4,
    "warmup_steps": 0.1,  # below 1: a share of the steps
    "train_sampling_strategy": "group_by_length",
}


def contest(data, dataset, rows, seed):
    part, n, test_part, epochs = DATASETS[dataset]
    train = draw(*read(data, dataset, part), rows or n, seed)
    test = draw(*read(data, dataset, test_part), rows, seed)
    models = {
        "ours": Ours,
        "trainer": Trainer,
        "trainer-best": TrainerAtItsBest,
        "skorch": Skorch,
    }
    contestants = {
        name: functools.partial(measure, model, train, test, epochs, seed)
        for name, model in models.items()
    }
    return Contest(len(train[0]), contestants)


def measure(model, train, test, epochs, seed):
    warm_up(model)
    with tempfile.TemporaryDirectory() as directory:
        estimator = model(epochs, seed, directory)
        with timed() as measured:
            estimator.fit(*train)
        with timed() as predicting:
            predicted = estimator.predict(test[0])
    accuracy = np.mean(np.asarray(predicted) == np.asarray(test[1]))
    return {
        **measured,
        "accuracy": round(float(accuracy), 4),
        "epochs": epochs,
        "predict_seconds": predicting["seconds"],
    }


@functools.cache
def warm_up(model):
    """Let a kind of model import what it imports, once a process."""
    texts = ["It rains.", "The sun is out."] * 10
    with tempfile.TemporaryDirectory() as directory:
        model(1, 0, directory).fit(texts, ["bad", "good"] * 10).predict(texts)


class Ours:
    """The classifier with its defaults."""

    def __init__(self, epochs, seed, directory):
        self.classifier = AttentionFineTuneClassifier(
            max_epochs=epochs, max_length=MAX_LENGTH, random_state=seed
        )

    def fit(self, texts, labels):
        self.classifier.fit(texts, labels)
        return self

    def predict(self, texts):
        return self.classifier.predict(texts)


class Encoded:
    """Tokenised texts with labels, as the Trainer wants them."""

    def __init__(self, tokenizer, texts, labels=None):
        self.encoded = tokenizer(texts, truncation=True, max_length=MAX_LENGTH)
        if labels is not None:
            self.encoded["labels"] = labels

    def __len__(self):
        return len(self.encoded["input_ids"])

    def __getitem__(self, i):
        return {name: values[i] for name, values in self.encoded.items()}


class Trainer:
    """transformers' Trainer as it is."""

    def __init__(self, epochs, seed, directory):
        self.settings = {
            "output_dir": directory,
            "num_train_epochs": epochs,
            "seed": seed,
            # It would write, and report to services that happen to be installed.
            "save_strategy": "no",
            "report_to": [],
            "disable_tqdm": True,
            "logging_strategy": "no",
        }

    def fit(self, texts, labels):
        import transformers

        transformers.set_seed(self.settings["seed"])
        self.classes, indices = np.unique(labels, return_inverse=True)
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(encoder())
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            encoder(), num_labels=len(self.classes)
        )
        self.trainer = transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(**self.settings),
            processing_class=self.tokenizer,
            train_dataset=Encoded(self.tokenizer, texts, indices.tolist()),
        )
        self.trainer.train()
        return self

    def predict(self, texts):
        # Else transformers 5.23 returns the rows in the order of their lengths.
        self.trainer.args.train_sampling_strategy = "sequential"
        logits = self.trainer.predict(Encoded(self.tokenizer, texts)).predictions
        return self.classes[logits.argmax(axis=1)]


class TrainerAtItsBest(Trainer):
    """The Trainer with what makes it fast."""

    def __init__(self, epochs, seed, directory):
        super().__init__(epochs, seed, directory)
        self.settings |= {**BEST, "bf16": dtype() == torch.bfloat16}


class BertModule(torch.nn.Module):
    """What skorch's notebook wraps a model of transformers in."""

    def __init__(self, name, num_labels):
        from transformers import AutoModelForSequenceClassification

        super().__init__()
        self.bert = AutoModelForSequenceClassification.from_pretrained(
            name, num_labels=num_labels
        )

    def forward(self, **inputs):
        return self.bert(**inputs).logits


class Skorch:
    """The pipeline of skorch's notebook."""

    BATCH_SIZE = 8

    def __init__(self, epochs, seed, directory):
        self.epochs, self.seed = epochs, seed

    def fit(self, texts, labels):
        from sklearn.pipeline import make_pipeline
        from skorch import NeuralNetClassifier
        from skorch.callbacks import LRScheduler
        from skorch.hf import HuggingfacePretrainedTokenizer

        torch.manual_seed(self.seed)
        self.classes, indices = np.unique(labels, return_inverse=True)
        n_steps = self.epochs * (len(texts) // self.BATCH_SIZE + 1)
        self.pipeline = make_pipeline(
            HuggingfacePretrainedTokenizer(encoder(), max_length=MAX_LENGTH),
            NeuralNetClassifier(
                BertModule,
                module__name=encoder(),
                module__num_labels=len(self.classes),
                criterion=torch.nn.CrossEntropyLoss,
                optimizer=torch.optim.AdamW,
                lr=5e-5,
                max_epochs=self.epochs,
                batch_size=self.BATCH_SIZE,
                iterator_train__shuffle=True,
                device=device(),
                verbose=0,
                callbacks=[
                    LRScheduler(
                        torch.optim.lr_scheduler.LambdaLR,
                        lr_lambda=lambda step: (n_steps - step) / n_steps,
                        step_every="batch",
                    )
                ],
            ),
        )
        self.pipeline.fit(texts, indices)
        return self

    def predict(self, texts):
        return self.classes[self.pipeline.predict(texts)]
