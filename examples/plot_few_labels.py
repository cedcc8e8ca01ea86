"""
Few labeled texts and many unlabeled texts
==========================================

This example has ten labeled texts per topic and additional unlabeled texts. It compares
three methods. The first uses the labels only. The second fine-tunes the encoder as a
language model on all texts first (``lm_epochs``, the sequential method of the paper).
The joint method of the paper (``lm_weight``) is used in the same way. The third trains
the encoder on pairs of labeled texts to recognize pairs of the same topic
(``contrastive_epochs``).

The tickets are synthetic and the runs are short. The example shows how to use the
methods. One seed and 248 test texts are not enough to rank them, as the error bars
show. On your data, compare them in a cross-validation.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets

X, y = load_support_tickets(subset="train", return_X_y=True)
X_test, y_test = load_support_tickets(subset="test", return_X_y=True)
by_topic = [np.flatnonzero(y == topic) for topic in np.unique(y)]
labeled = np.concatenate([rows[:10] for rows in by_topic])
X_few, y_few = X[labeled], y[labeled]
X_unlabeled = np.delete(X, labeled)[:210]
print(f"{len(X_few)} labeled texts, {len(X_unlabeled)} unlabeled texts")

# %%
# The unlabeled texts are an additional argument of ``fit``. The training on pairs
# adapts the hidden states of the last layer. Therefore the third method uses this layer
# only, freezes the encoder and trains the attention and the head.

methods = {
    "labels only": {},
    "language model first": {"lm_epochs": 1},
    "pairs first": {
        "contrastive_epochs": 10,
        "layers": "last",
        "trainable_layers": 0,
    },
}
fitted, accuracies = {}, {}
for name, parameters in methods.items():
    clf = AttentionFineTuneClassifier(random_state=0, **parameters)
    more = {"X_unlabeled": X_unlabeled} if "lm_epochs" in parameters else {}
    start = time.perf_counter()
    clf.fit(X_few, y_few, **more)
    fitted[name], accuracies[name] = clf, clf.score(X_test, y_test)
    print(f"{name}: {accuracies[name]:.3f}, {time.perf_counter() - start:.0f} s")

# %%
# ``history_`` has the perplexity of the language model on held-out texts, which
# measures how well it predicts masked words. Values in the hundreds or above, as here,
# mean that it has learned little from one epoch on few texts.

for row in fitted["language model first"].history_:
    if row["stage"] == "language model":
        print(f"epoch {row['epoch']}: perplexity {row['valid_perplexity']:.0f}")

# %%
# The accuracies with their binomial standard errors:

names = list(methods)
scores = np.array([accuracies[name] for name in names])
errors = np.sqrt(scores * (1 - scores) / len(X_test))
figure, axes = plt.subplots(figsize=(7, 2), layout="constrained")
axes.errorbar(scores, names, xerr=errors, fmt="o", capsize=4)
axes.set(xlabel="accuracy on the test texts", ylim=(-0.5, 2.5))
axes.invert_yaxis()
