"""
Few labels per class
====================

For up to ten classes, train the encoder on pairs of labeled texts first
(``contrastive_epochs``). With more classes, use the defaults, and add the names of the
classes if they describe the texts (``label_texts``). This example shows both: first the
measurements of the user guide on six classes, then fits on 30 classes.

The texts of the fits are questions to a bank, a small part of CLINC150.

Read more: :doc:`/guide/few_labels`.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

# %%
# Six classes
# -----------
#
# The measurements of the guide are on TREC, whose six classes are types of questions,
# with eight labels of each and five random samples.

results = pd.read_json("../../benchmarks/results/peers.jsonl", lines=True)
results = results[(results["part"] == "few-shot") & ~results["trial"].astype(bool)]
results = results[~results["machine"].str.contains("NVIDIA")]
names = {
    "ours, frozen": "logistic regression",
    "ours, defaults": "defaults",
    "setfit": "SetFit",
    "ours": "contrastive",
}
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for row, (model, name) in enumerate(names.items()):
    accuracies = results[results["model"] == model]["accuracy"]
    axes.plot(
        accuracies, [row] * len(accuracies), "o", color="#0072B2", alpha=0.5, ms=9
    )
    axes.plot(accuracies.mean(), row, "|", color="black", ms=26, mew=2)
    print(f"{name:>20}: {accuracies.mean():.3f}")
axes.set_yticks(range(len(names)), names.values())
axes.set(title="TREC, 48 labels, 6 classes", xlabel="accuracy", ylim=(-0.5, 3.5))

# %%
# 30 classes
# ----------
#
# Five labels of each intent. A text for each class is made from its name.

frame = pd.read_csv("../data/clinc150.csv", keep_default_na=False)
train, test = (frame[frame["subset"] == part] for part in ("train", "test"))
described = {intent: intent.replace("_", " ") for intent in train["intent"].unique()}
methods = {
    "logistic regression": make_pipeline(
        TransformerFeatureExtractor(), LogisticRegression(C=10, max_iter=500)
    ),
    "contrastive": AttentionFineTuneClassifier(
        contrastive_epochs=10, layers="last", trainable_layers=0, random_state=0
    ),
    "defaults": AttentionFineTuneClassifier(random_state=0),
    "defaults, label_texts": AttentionFineTuneClassifier(
        label_texts=described, random_state=0
    ),
}

# %%
# Two samples of the labels:

rows = []
for sample in range(2):
    few = train.groupby("intent").sample(5, random_state=sample)
    for name, model in methods.items():
        accuracy = model.fit(few["text"], few["intent"]).score(
            test["text"], test["intent"]
        )
        rows.append({"method": name, "sample": sample, "accuracy": accuracy})
accuracies = pd.DataFrame(rows).pivot(
    index="method", columns="sample", values="accuracy"
)
print(accuracies.loc[list(methods)].round(3))

# %%
# One standard error of an accuracy on 240 test texts is about 0.02, so small
# differences between the methods are not reliable.

figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for row, name in enumerate(methods):
    values = accuracies.loc[name]
    axes.plot(values, [row] * len(values), "o", color="#0072B2", alpha=0.5, ms=9)
axes.set_yticks(range(len(methods)), methods)
axes.set(title="CLINC150, 150 labels, 30 classes", xlabel="accuracy", ylim=(-0.5, 3.5))
# sphinx_gallery_thumbnail_number = 1
