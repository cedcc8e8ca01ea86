"""
Few labels per class
====================

For up to ten classes, train the encoder on pairs of labeled texts first
(``contrastive_epochs``). With more classes, use the defaults. In both cases, add texts
that you write for each class (``label_texts``), or the names of the classes. This
example shows first the measurements of the user guide on four data sets, then fits on
30 classes.

The texts of the fits are questions to a bank, a small part of CLINC150.

Read more: :doc:`/guide/few_labels`.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

# %%
# Four data sets
# --------------
#
# The measurements of the guide: five random samples of eight labels per class (in
# CLINC150 five), and the mean accuracy on the test texts. SetFit has fewer samples of
# MASSIVE and CLINC150. "Recipe" is contrastive training for TREC and AG News, and the
# defaults for MASSIVE and CLINC150. "Written texts" are the name and two examples of
# each class, or six examples on TREC and AG News. The recipe has them as
# ``label_texts``, and SetFit as labeled texts.

results = pd.read_json("../../benchmarks/results/peers.jsonl", lines=True)
results = results[(results["part"] == "few-shot") & ~results["trial"].astype(bool)]
results = results[~results["machine"].str.contains("NVIDIA")]
datasets = {
    "trec": "TREC\n6 classes",
    "ag_news": "AG News\n4 classes",
    "massive_en": "MASSIVE\n60 classes",
    "clinc150": "CLINC150\n150 classes",
}
names = {
    "ours, frozen": "logistic regression",
    "setfit, 20 iterations": "SetFit",
    "ours, defaults": "defaults",
    "ours": "recipe",
    "ours, label texts": "recipe, names",
    "ours, written texts": "recipe, written texts",
    "setfit, written texts": "SetFit, written texts",
}
means = results.pivot_table(index="dataset", columns="model", values="accuracy")
means = means.loc[list(datasets), list(names)].rename(columns=names)
print(means.round(3).to_string())

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for marker, name in zip("sXo^DvP", means.columns, strict=True):
    axes.plot(means[name], datasets.values(), marker, label=name, ms=8, alpha=0.8)
axes.invert_yaxis()
axes.set(title="Five or eight labels per class", xlabel="accuracy")
axes.legend(fontsize="small")

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
