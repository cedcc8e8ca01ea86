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
        rows.append((f"{long_texts}, {max_length}", accuracy, seconds))
for name, accuracy, seconds in rows:
    print(f"{name:>13}: accuracy {accuracy:.3f}, {seconds:.1f} s")

# %%

figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.barh([name for name, *_ in rows], [accuracy for _, accuracy, _ in rows])
axes.set(title="Truncation and windows of three lengths")
axes.set(xlabel="accuracy on the test texts", xlim=(0, 1))
axes.invert_yaxis()
