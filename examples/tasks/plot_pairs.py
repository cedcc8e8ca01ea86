"""
Pairs of texts
==============

Are two tickets about the same topic, bugs or deliveries? The answer needs both texts.
The classifier reads both together. It is compared with a logistic regression that gets
the features of each text separately.

The tickets are synthetic, so the scores do not show how well a method works on real
messages.

Read more: :doc:`/guide/pairs`.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor
from sklearn_attnft.datasets import load_support_tickets
from sklearn_attnft.displays import AttentionDisplay


def make_pairs(subset, n_pairs, seed):
    """Return pairs of tickets, and whether they have the same topic, half of them."""
    texts, topics = load_support_tickets(subset=subset, return_X_y=True)
    is_used = np.isin(topics, ["bug", "delivery"])
    texts, topics = texts[is_used], topics[is_used]
    rng = np.random.RandomState(seed)
    is_same = np.arange(n_pairs) % 2 == 0
    rows = []
    for same in is_same:
        i = rng.randint(len(texts))
        others = np.flatnonzero((topics == topics[i]) == same)
        rows.append((i, rng.choice(others[others != i])))
    pairs = pd.DataFrame(texts[np.array(rows)], columns=["first", "second"])
    return pairs, np.where(is_same, "same", "other")


X_train, y_train = make_pairs("train", 800, seed=0)
X_test, y_test = make_pairs("test", 200, seed=1)
print(X_train.head(3).to_string(max_colwidth=60))

# %%
# A data frame with two columns is read as pairs. No ticket of the test pairs occurs in
# the training pairs.

clf = AttentionFineTuneClassifier(max_length=384, random_state=0)
clf.fit(X_train, y_train)
print(f"pairs read together: accuracy {clf.score(X_test, y_test):.3f}")

# %%
# Features of each text can only be compared after both texts have been encoded.

extractor = TransformerFeatureExtractor().fit(X_train["first"])


def compare(X):
    """Return features that compare both texts."""
    a, b = (extractor.transform(X[column]) for column in X)
    return np.hstack([np.abs(a - b), a * b])


regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
grid = {"logisticregression__C": np.logspace(-4, 0, 5)}
search = GridSearchCV(regression, grid).fit(compare(X_train), y_train)
accuracy = search.score(compare(X_test), y_test)
print(f"features of each text: accuracy {accuracy:.3f}")

# %%
# The explanation has the tokens of both texts. The display shows them on separate
# lines, here for the two shortest pairs.

shortest = X_test.loc[X_test.sum(axis=1).str.len().nsmallest(2).index]
AttentionDisplay.from_estimator(clf, shortest, attribution="gradient").plot()
plt.show()
