"""
Combine the encoder with words
==============================

The classifier reads texts with a pretrained encoder. A logistic regression on TF-IDF
features only counts words. Here their probabilities are averaged with
``VotingClassifier``, and weights are compared in a cross-validation.

The texts are sentences from product reviews, rated by twenty people, a part of the data
of Hutto and Gilbert (2014). A sentence is positive or negative.

Read more: :doc:`/guide/words`.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from sklearn_attnft import AttentionFineTuneClassifier

frame = pd.read_csv("../data/product_reviews.csv")
frame["label"] = np.where(frame["rating"] > 0, "positive", "negative")
train, test = (frame[frame["subset"] == part] for part in ("train", "test"))
shown = train.sample(4, random_state=0)
print(shown["label"].str.cat(shown["text"].str[:60], sep=": ").to_string(index=False))

# %%
# Each model predicts every training text once, when it was not fitted on this text.

encoder = AttentionFineTuneClassifier(random_state=0)
words = make_pipeline(
    TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
    LogisticRegression(C=30, max_iter=1000),
)
predicted = [
    cross_val_predict(
        model, train["text"], train["label"], cv=3, method="predict_proba"
    )
    for model in (encoder, words)
]

# %%
# With the weight 0, only the encoder counts. With the weight 1, only the words count.

weights = np.linspace(0, 1, 21)
averages = [np.average(predicted, axis=0, weights=[1 - w, w]) for w in weights]
losses = [log_loss(train["label"], average) for average in averages]
classes = np.unique(train["label"])
accuracies = [
    accuracy_score(train["label"], classes[average.argmax(axis=1)])
    for average in averages
]
weight = weights[np.argmin(losses)]
print(f"weight of the words: {weight:.2f}")

figure, panels = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
figure.suptitle("The loss falls, and the accuracy hardly changes")
for panel, values, name in zip(
    panels, (losses, accuracies), ("log loss", "accuracy"), strict=True
):
    panel.plot(weights, values, color="#0072B2")
    panel.axvline(weight, color="#D55E00")
    panel.set(title=name, xlabel="weight of the words", ylabel="in cross-validation")

# %%
# The log loss of the mean is much lower than that of each model, because the mean is
# less certain of its errors. The accuracy hardly changes up to this weight, so on these
# short sentences, words add little to what the encoder knows.
#
# The test texts come from other reviews.

vote = VotingClassifier(
    [("encoder", encoder), ("words", words)],
    voting="soft",
    weights=[1 - weight, weight],
)
for name, model in {"encoder": encoder, "words": words, "both": vote}.items():
    model.fit(train["text"], train["label"])
    print(f"{name:>8}: accuracy {model.score(test['text'], test['label']):.3f}")
