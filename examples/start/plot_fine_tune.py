"""
Fine-tune a classifier
======================

This example sorts the first sentences of encyclopedia articles into 14 kinds of things.
The default classifier is compared with logistic regression on TF-IDF features and on
the features of the frozen encoder. Then its errors are shown.

The texts are a small part of DBpedia-14: 25 training and 20 test texts of each kind.

Read more: :doc:`/guide/fine_tuning`.
"""

import time

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

frame = pd.read_csv("../data/dbpedia14.csv")
train, test = (frame[frame["subset"] == part] for part in ("train", "test"))
print(train.groupby("label").first()["text"].str[:60].head(4).to_string())

# %%
# All three take texts. The logistic regressions choose the strength of their
# regularization by cross-validation, and the classifier has its default parameters.

logistic = GridSearchCV(
    LogisticRegression(max_iter=500), {"C": [0.1, 1, 10, 100]}, cv=3
)
models = {
    "TF-IDF": make_pipeline(TfidfVectorizer(sublinear_tf=True), logistic),
    "features": make_pipeline(TransformerFeatureExtractor(), logistic),
    "fine-tuned": AttentionFineTuneClassifier(random_state=0),
}
scores = {}
for name, model in models.items():
    start = time.perf_counter()
    model.fit(train["text"], train["label"])
    scores[name] = model.score(test["text"], test["label"])
    print(f"{name:>10}: {scores[name]:.3f}, {time.perf_counter() - start:.0f} s")

# %%
# The lines show one standard error of an accuracy on this number of test texts.

errors = [(score * (1 - score) / len(test)) ** 0.5 for score in scores.values()]
figure, axes = plt.subplots(figsize=(7, 2.5), layout="constrained")
axes.barh(list(scores), list(scores.values()), xerr=errors, color="#0072B2")
for row, score in enumerate(scores.values()):
    axes.text(0.02, row, f"{score:.3f}", va="center", color="white")
axes.set(title="14 kinds of articles, 350 labels", xlabel="accuracy on test texts")
axes.set(xlim=(0, 1))
axes.invert_yaxis()

# %%
# The errors with the highest probabilities:

clf = models["fine-tuned"]
probabilities = clf.predict_proba(test["text"])
wrong = pd.DataFrame(
    {
        "label": test["label"],
        "predicted": clf.classes_[probabilities.argmax(axis=1)],
        "probability": probabilities.max(axis=1).round(2),
        "text": test["text"].str[:60],
    }
).query("label != predicted")
print(wrong.nlargest(8, "probability").to_string(index=False))
