"""
Grid search that encodes each text once
=======================================

A grid search over a classifier on a frozen encoder encodes the same texts for each
candidate and fold. With ``cache``, each text is encoded once for all candidates with
the same options of the encoder. The remaining time is that of the classifiers.

The texts are questions to a bank with 30 intents, a small part of CLINC150.

Read more: :doc:`/guide/search_and_caching`.
"""

import time

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sklearn_attnft import TransformerFeatureExtractor

frame = pd.read_csv("../data/clinc150.csv", keep_default_na=False)
train = frame[frame["subset"] == "train"]
X, y = train["text"], train["intent"]

# %%
# Two poolings, five strengths of regularization and three folds make 30 fits and 30
# predictions.

model = Pipeline(
    [
        ("features", TransformerFeatureExtractor(cache="memory")),
        ("classify", LogisticRegression(max_iter=2000)),
    ]
)
grid = {
    "features__pooling": ["mean", "max"],
    "classify__C": [0.1, 1.0, 10.0, 100.0, 1000.0],
}
search = GridSearchCV(model, grid, cv=3)
for attempt in ("first search", "second search"):
    start = time.perf_counter()
    search.fit(X, y)
    print(f"{attempt}: {time.perf_counter() - start:.1f} s")

# %%
# The second search encoded no texts. Its last fit, on all texts, read all of them from
# the cache:

print(search.best_params_)
print(search.best_estimator_["features"].cache_info())

# %%
# The mean accuracy of each candidate:

results = pd.DataFrame(search.cv_results_)
table = results.pivot(
    index="param_features__pooling",
    columns="param_classify__C",
    values="mean_test_score",
)
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
image = axes.imshow(table, cmap="viridis", aspect="auto")
axes.set_xticks(range(len(table.columns)), table.columns)
axes.set_yticks(range(len(table.index)), table.index)
axes.set(title="Accuracy of each candidate", xlabel="C", ylabel="pooling")
for row, scores in enumerate(table.to_numpy()):
    for column, score in enumerate(scores):
        color = "black" if image.norm(score) > 0.5 else "white"
        axes.text(column, row, f"{score:.3f}", ha="center", va="center", color=color)
figure.colorbar(image, label="accuracy, 3 folds")
