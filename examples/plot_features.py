"""
Features and logistic regression
================================

An encoder that stays as it is turns each text into 384 numbers; a logistic regression
learns the topic from them. How many labels does that need, beside TF-IDF?

The tickets are synthetic: read the shape of the curves, not their height.
"""

import matplotlib.pyplot as plt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.pipeline import make_pipeline

from sklearn_attnft import TransformerFeatureExtractor
from sklearn_attnft.datasets import load_support_tickets

X_train, y_train = load_support_tickets(subset="train", return_X_y=True)
X_test, y_test = load_support_tickets(subset="test", return_X_y=True)

# %%
# Two pipelines on ever more labels. With ``cache="memory"`` the encoder reads each text
# once, though it is in several training sets.

models = {
    "features of the encoder": make_pipeline(
        TransformerFeatureExtractor(cache="memory"),
        LogisticRegression(max_iter=1000),
    ),
    "TF-IDF": make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000),
    ),
}
sizes = [35, 70, 140, 280, len(X_train)]
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, model in models.items():
    scores = [model.fit(X_train[:n], y_train[:n]).score(X_test, y_test) for n in sizes]
    axes.plot(sizes, scores, marker="o", label=name)
axes.set(xscale="log", xlabel="texts with a label", ylabel="accuracy on the test texts")
axes.set_xticks(sizes, sizes)
axes.minorticks_off()
axes.legend()

# %%
# Each text was encoded once, and found again in the cache after that.

features = models["features of the encoder"]
print(features[0].cache_info())

# %%
# What is confused with what, with all labels:

ConfusionMatrixDisplay.from_estimator(
    features, X_test, y_test, cmap="Blues", xticks_rotation=45
)
plt.tight_layout()
