"""
Choose an encoder
=================

Candidates are compared in two steps. The first step trains nothing but a logistic
regression on frozen features, so it is quick. The second step fine-tunes the best
candidates.

These pages are built without a network, so the candidates are made from the default
encoder: as it is, with its middle layer, and with the mean of all layers. On your
machine, add encoders by name, such as ``encoder="answerdotai/ModernBERT-base"``.

The texts are questions to a bank with 30 intents, a small part of CLINC150.

Read more: :doc:`/encoders`.
"""

import time

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

frame = pd.read_csv("../data/clinc150.csv", keep_default_na=False)
train = frame[frame["subset"] == "train"]
X, y = train["text"], train["intent"]

# %%
# Each candidate is a dict of parameters that the extractor and the classifier share.

candidates = {
    "default": {},
    "block 3 of 6": {"layers": [3]},
    "all layers": {"layers": "all"},
}
rows = {}
for name, parameters in candidates.items():
    extractor = TransformerFeatureExtractor(**parameters)
    extractor.fit(X)
    extractor.transform(X[:1])  # not timed: it loads the encoder
    start = time.perf_counter()
    features = extractor.transform(X)
    seconds = time.perf_counter() - start
    accuracy = cross_val_score(
        LogisticRegression(C=10, max_iter=500), features, y, cv=3
    )
    rows[name] = {"ms per text": 1000 * seconds / len(X), "accuracy": accuracy.mean()}
table = pd.DataFrame(rows).T
print(table.round(3))

# %%
# Fast and accurate candidates are at the top left.

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, row in table.iterrows():
    axes.plot(row["ms per text"], row["accuracy"], "o", label=name)
axes.set(title="Frozen features of three candidates")
axes.set(xlabel="time per text (ms)", ylabel="accuracy, 3 folds")
axes.set(xlim=(0, None))
axes.legend()

# %%
# Fine-tune the best two, in the same folds. A better frozen encoder is not always
# better after fine-tuning.

for name in table["accuracy"].nlargest(2).index:
    clf = AttentionFineTuneClassifier(random_state=0)
    if name == "default":  # the classifier reads all layers by default
        clf.set_params(layers="last")
    clf.set_params(**candidates[name])
    accuracy = cross_val_score(clf, X, y, cv=3)
    print(
        f"{name}: frozen {table.loc[name, 'accuracy']:.3f}, "
        f"fine-tuned {accuracy.mean():.3f}"
    )
