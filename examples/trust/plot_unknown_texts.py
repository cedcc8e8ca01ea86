"""
Abstain from texts of no known class
====================================

A classifier predicts one of its classes for each text, also for a text that belongs to
none of them. ``score_samples`` tells how similar a text is to the training texts. Below
a threshold, the classifier abstains.

The texts are questions to a bank with 30 intents, and 100 questions of no intent: a
small part of CLINC150.

Read more: :doc:`/guide/unknown_texts`.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from sklearn_attnft import AttentionFineTuneClassifier

frame = pd.read_csv("../data/clinc150.csv", keep_default_na=False)
train, test, unknown = (
    frame[frame["subset"] == part] for part in ("train", "test", "unknown")
)
clf = AttentionFineTuneClassifier(random_state=0).fit(train["text"], train["intent"])
print(f"accuracy {clf.score(test['text'], test['intent']):.3f}")

# %%
# Two scores can decide: ``score_samples``, and the largest probability. The area under
# the ROC curve (AUROC) is 1 if a score separates known and unknown texts.

scores = {
    "score_samples": clf.score_samples,
    "largest probability": lambda texts: clf.predict_proba(texts).max(axis=1),
}
is_known = np.repeat([1, 0], [len(test), len(unknown)])
texts = pd.concat([test["text"], unknown["text"]])
for name, score in scores.items():
    print(f"{name:>20}: AUROC {roc_auc_score(is_known, score(texts)):.3f}")

# %%
# The threshold accepts 95 % of known texts. It is chosen on half of the test texts,
# and used on the other half and on the unknown texts.

held_out, rest = test[::2], test[1::2]
threshold = np.quantile(clf.score_samples(held_out["text"]), 0.05)
answered = clf.score_samples(rest["text"]) >= threshold
correct = (clf.predict(rest["text"]) == rest["intent"]) & answered
false_alarms = (clf.score_samples(unknown["text"]) >= threshold).mean()
print(f"known texts: {answered.mean():.1%} answered, {correct.mean():.1%} correctly")
print(f"unknown texts: {false_alarms:.1%} answered")

# %%

figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
bins = np.linspace(*np.quantile(clf.score_samples(texts), [0.01, 1]), 40)
for name, part in (("known", test), ("unknown", unknown)):
    values = clf.score_samples(part["text"])
    axes.hist(values, bins=bins, alpha=0.6, density=True, label=name)
axes.axvline(threshold, color="black", linestyle="--", label="threshold")
axes.set(title="Scores of known and unknown texts", xlabel="score_samples")
axes.set(ylabel="density", yticks=[])
axes.legend()

# %%
# Unknown texts that are answered are often similar to a known intent:

order = clf.score_samples(unknown["text"]).argsort()[::-1][:5]
for text in unknown["text"].iloc[order]:
    print(f"{clf.predict([text])[0]:>20}: {text}")
