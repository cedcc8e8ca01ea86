"""Compare fine-tuning with transformers' Trainer and with skorch.

- "ours": AttentionFineTuneClassifier with its defaults.
- "trainer": the Trainer with its defaults. Batches have 8 texts in random order, padded
  to the longest one. Fused AdamW has a learning rate that falls from 5e-5 to 0.
  Dropout is that of the encoder's configuration. The precision is float32.
- "trainer-best": the Trainer with batches of 32 texts of similar length
  (``group_by_length``), with our learning rate and warm-up, in bfloat16 if the hardware
  supports it.
- "skorch": the settings of skorch's notebook Hugging_Face_Finetuning. Texts are padded
  to 256 tokens, batches have 8 texts, AdamW has a learning rate that falls from 5e-5 to
  0, and a fifth of the texts is held out.

All contestants use the same texts, the same number of epochs and up to 256 tokens of a
text. From longer texts, ours removes the middle and the others remove the end. The time
of a fit includes tokenization and loading weights, but not prediction. Each contestant
fits a few texts before its first timed fit.
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
    "warmup_steps": 0.1,  # a value below 1 is a fraction of the steps
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
    """Run the imports of a model, once per process."""
    texts = ["It rains.", "The sun is out."] * 10
    with tempfile.TemporaryDirectory() as directory:
        model(1, 0, directory).fit(texts, ["bad", "good"] * 10).predict(texts)


class Ours:
    """Our classifier with its defaults."""

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
    """Tokenized texts with labels, in the form that the Trainer needs."""

    def __init__(self, tokenizer, texts, labels=None):
        self.encoded = tokenizer(texts, truncation=True, max_length=MAX_LENGTH)
        if labels is not None:
            self.encoded["labels"] = labels

    def __len__(self):
        return len(self.encoded["input_ids"])

    def __getitem__(self, i):
        return {name: values[i] for name, values in self.encoded.items()}


class Trainer:
    """The Trainer of transformers with its defaults."""

    def __init__(self, epochs, seed, directory):
        self.settings = {
            "output_dir": directory,
            "num_train_epochs": epochs,
            "seed": seed,
            # The defaults write files and report to installed services.
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
        # Otherwise transformers 5.23 returns the rows in the order of their lengths.
        self.trainer.args.train_sampling_strategy = "sequential"
        logits = self.trainer.predict(Encoded(self.tokenizer, texts)).predictions
        return self.classes[logits.argmax(axis=1)]


class TrainerAtItsBest(Trainer):
    """The Trainer with settings that make it faster."""

    def __init__(self, epochs, seed, directory):
        super().__init__(epochs, seed, directory)
        self.settings |= {**BEST, "bf16": dtype() == torch.bfloat16}
        # Without this, the Trainer refuses bfloat16 on a CPU.
        self.settings["use_cpu"] = device().type == "cpu"


class BertModule(torch.nn.Module):
    """Wrapper of a transformers model in skorch's notebook."""

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
