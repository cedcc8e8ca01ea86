"""
Features and logistic regression
================================

A frozen encoder transforms each text into 384 features, and a logistic regression
learns the topic from them. The example compares the accuracy with that of TF-IDF for
different numbers of labels.

The tickets are synthetic, so the accuracies do not apply to real texts.
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
# Both pipelines are fitted on increasing numbers of labels. With ``cache="memory"``,
# each text is encoded once, although it is in several training sets.

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
axes.set(xscale="log", xlabel="labeled texts", ylabel="accuracy on the test texts")
axes.set_xticks(sizes, sizes)
axes.minorticks_off()
axes.legend()

# %%
# Each text was encoded once and then read from the cache.

features = models["features of the encoder"]
print(features[0].cache_info())

# %%
# The confusion matrix with all labels:

ConfusionMatrixDisplay.from_estimator(
    features, X_test, y_test, cmap="Blues", xticks_rotation=45
)
plt.tight_layout()
