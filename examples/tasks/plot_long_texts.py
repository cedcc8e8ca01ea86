"""
Texts longer than max_length
============================

A text of more than ``max_length`` tokens is truncated in the middle or encoded in
overlapping windows. Here ``max_length`` is set too low on purpose, to compare the two
methods.

The texts are the first sentences of encyclopedia articles, a small part of DBpedia-14.
On longer documents, the differences can be larger or smaller.

Read more: :doc:`/guide/long_texts`.
"""

import time
import warnings

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import LogisticRegression

from sklearn_attnft import TransformerFeatureExtractor

frame = pd.read_csv("../data/dbpedia14.csv")
train, test = (frame[frame["subset"] == part] for part in ("train", "test"))
X_train, y_train = train["text"], train["label"]
X_test, y_test = test["text"], test["label"]

# %%
# ``fit`` warns about truncated texts and reports their number.

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    short = TransformerFeatureExtractor(max_length=16).fit(X_train)
print(caught[0].message)
print(f"truncated_fraction_ = {short.truncated_fraction_:.3f}")

# %%
# Truncation and windows are compared at two lengths, and with the default of 256, which
# is long enough for almost all of these texts. Windows cover the whole text, but each
# has at most ``max_length`` tokens.

rows = []
for max_length in (16, 32, 256):
    for long_texts in ("truncate", "window"):
        extractor = TransformerFeatureExtractor(
            max_length=max_length, long_texts=long_texts
        )
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            features = extractor.fit_transform(X_train)
        seconds = time.perf_counter() - start
        model = LogisticRegression(C=10, max_iter=1000).fit(features, y_train)
        accuracy = model.score(extractor.transform(X_test), y_test)
        rows.append((long_texts, max_length, accuracy, seconds))
results = pd.DataFrame(rows, columns=["long_texts", "max_length", "accuracy", "s"])
print(results.round(3).to_string(index=False))

# %%

figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for long_texts, part in results.groupby("long_texts"):
    axes.plot(part["max_length"], part["accuracy"], marker="o", ms=9, label=long_texts)
axes.set(title="Texts longer than max_length", xscale="log", xlabel="max_length")
axes.set(ylabel="accuracy on the test texts")
axes.set_xticks([16, 32, 256], [16, 32, 256])
axes.minorticks_off()
axes.legend(loc="lower right")
