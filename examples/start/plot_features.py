"""
Features and logistic regression
================================

A frozen encoder transforms each text into 384 features, and a logistic regression
learns the intent of a question from them. The example compares the accuracy with that
of TF-IDF for different numbers of labels.

The texts are questions to a bank with 30 intents, a small part of CLINC150.

Read more: :doc:`/guide/features`.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_attnft import TransformerFeatureExtractor

frame = pd.read_csv("../data/clinc150.csv", keep_default_na=False)
train, test = (frame[frame["subset"] == part] for part in ("train", "test"))
train = train.sample(frac=1, random_state=0)
X_train, y_train = train["text"], train["intent"]
X_test, y_test = test["text"], test["intent"]

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
sizes = [60, 120, 240, len(X_train)]
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, model in models.items():
    scores = [model.fit(X_train[:n], y_train[:n]).score(X_test, y_test) for n in sizes]
    axes.plot(sizes, scores, marker="o", label=name)
axes.set(title="30 intents of questions to a bank")
axes.set(xscale="log", xlabel="labeled texts", ylabel="accuracy on the test texts")
axes.set_xticks(sizes, sizes)
axes.minorticks_off()
axes.legend()

# %%
# Each text was encoded once and then read from the cache.

features = models["features of the encoder"]
print(features[0].cache_info())

# %%
# The intents of each pair that is confused most:

counts = pd.crosstab(y_test, features.predict(X_test), colnames=["predicted"]).stack()
counts = counts[[label != predicted for label, predicted in counts.index]]
print(counts.nlargest(6))
