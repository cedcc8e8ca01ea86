"""Time and accuracy of a fit beside transformers' Trainer, on TREC.

python benchmarks/trainer.py --data DIRECTORY [--repeats 3] [--rows N]

The same texts, encoder, batch size, epochs and maximal length; the Trainer with its
default arguments otherwise (learning rate 5e-5, padding to the longest of a batch).
The two alternate in one process; one JSON line a run is added to
results/trainer.jsonl. ``--table`` prints medians, spreads and the ratio.
"""

import argparse
import tempfile
import time

import numpy as np
import pandas as pd
from _common import RESULTS, append, draw, read

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft._backbone import DEFAULT_ENCODER, find_encoder

FILE = RESULTS / "trainer.jsonl"
BATCH_SIZE, MAX_LENGTH = 32, 256


class Encoded:
    """Tokenised texts with labels, as the Trainer wants them."""

    def __init__(self, tokenizer, texts, labels):
        self.encoded = tokenizer(texts, truncation=True, max_length=MAX_LENGTH)
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        row = {name: values[i] for name, values in self.encoded.items()}
        return row | {"labels": int(self.labels[i])}


def fit_trainer(texts, labels, test_texts, test_labels, epochs, seed):
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    source = find_encoder(DEFAULT_ENCODER)
    classes, indices = np.unique(labels, return_inverse=True)
    start = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModelForSequenceClassification.from_pretrained(
        source, num_labels=len(classes)
    )
    with tempfile.TemporaryDirectory() as directory:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                directory,
                num_train_epochs=epochs,
                per_device_train_batch_size=BATCH_SIZE,
                seed=seed,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            data_collator=DataCollatorWithPadding(tokenizer),
            train_dataset=Encoded(tokenizer, texts, indices),
        )
        trainer.train()
        seconds = time.perf_counter() - start
        test = Encoded(tokenizer, test_texts, np.searchsorted(classes, test_labels))
        predicted = trainer.predict(test)
    right = predicted.predictions.argmax(axis=1) == predicted.label_ids
    return seconds, right.mean()


def fit_ours(texts, labels, test_texts, test_labels, epochs, seed):
    clf = AttentionFineTuneClassifier(
        max_epochs=epochs,
        batch_size=BATCH_SIZE,
        max_length=MAX_LENGTH,
        random_state=seed,
    )
    start = time.perf_counter()
    clf.fit(texts, labels)
    return time.perf_counter() - start, clf.score(test_texts, test_labels)


def run(data, rows, epochs, repeats):
    test = read(data, "trec", "test")
    for seed in range(repeats):
        train = draw(*read(data, "trec", "train"), rows, seed)
        for name, fit in (("trainer", fit_trainer), ("attention", fit_ours)):
            seconds, accuracy = fit(*train, *test, epochs, seed)
            row = {"rows": len(train[0]), "epochs": epochs, "seed": seed, "model": name}
            measured = {
                "fit_seconds": round(seconds, 1),
                "accuracy": round(float(accuracy), 4),
            }
            append(FILE, row | measured)


def table():
    frame = pd.read_json(FILE, lines=True)
    wide = frame.pivot_table(
        index=["rows", "epochs", "seed"],
        columns="model",
        values=["fit_seconds", "accuracy"],
    )
    seconds = wide["fit_seconds"]
    wide["fit_seconds", "ratio"] = seconds["trainer"] / seconds["attention"]
    print(wide.round(4).to_markdown())
    summary = wide.groupby(["rows", "epochs"]).agg(["median", "min", "max"])
    print(summary.round(4).to_markdown())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="directory of the data sets")
    parser.add_argument("--rows", type=int, help="training texts; default: all")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        run(arguments.data, arguments.rows, arguments.epochs, arguments.repeats)
