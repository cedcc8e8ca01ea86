"""
Texts longer than max_length
============================

A text of more than ``max_length`` tokens is truncated in the middle or encoded in
overlapping windows. Here ``max_length`` is set too low on purpose, to compare the two
methods.

The tickets are synthetic and short. On long documents, the differences can be larger or
smaller.
"""

import time
import warnings

import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression

from sklearn_attnft import TransformerFeatureExtractor
from sklearn_attnft.datasets import load_support_tickets

X_train, y_train = load_support_tickets(subset="train", return_X_y=True)
X_test, y_test = load_support_tickets(subset="test", return_X_y=True)
X_train, y_train = X_train[:300], y_train[:300]

# %%
# ``fit`` warns about truncated texts and reports their number.

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    short = TransformerFeatureExtractor(max_length=16).fit(X_train)
print(caught[0].message)
print(f"truncated_fraction_ = {short.truncated_fraction_:.3f}")

# %%
# Truncation and windows are compared at two lengths, and with a ``max_length`` that is
# long enough. Windows cover the whole text, but each has at most ``max_length`` tokens.

rows = []
for max_length in (16, 32):
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
whole = TransformerFeatureExtractor(cache="memory").fit(X_train)
model = LogisticRegression(C=10, max_iter=1000).fit(whole.transform(X_train), y_train)
rows.append(("whole", model.score(whole.transform(X_test), y_test), float("nan")))
for name, accuracy, seconds in rows:
    print(f"{name:>13}: accuracy {accuracy:.3f}, {seconds:.1f} s")

# %%

figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.barh([name for name, *_ in rows], [accuracy for _, accuracy, _ in rows])
axes.set(xlabel="accuracy on the test texts", xlim=(0, 1))
axes.invert_yaxis()
