"""
Ratings
=======

Twenty people rated the sentiment of sentences from product reviews, from -4 (extremely
negative) to 4 (extremely positive). ``AttentionFineTuneRegressor`` predicts the mean
rating of a sentence. It is compared with ridge regression on TF-IDF features and on the
features of the frozen encoder.

The texts are a part of the data of Hutto and Gilbert (2014): 600 sentences for training
and 300, of other reviews, for the test.

Read more: :doc:`/guide/regression`.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline

from sklearn_attnft import AttentionFineTuneRegressor, TransformerFeatureExtractor

frame = pd.read_csv("../data/product_reviews.csv")
train, test = (frame[frame["subset"] == part] for part in ("train", "test"))
print(train.sample(4, random_state=0)[["rating", "text"]].to_string(index=False))

# %%
# The ridge regressions choose the strength of their regularization by
# cross-validation, and the regressor has its default parameters.

ridge = RidgeCV(alphas=np.logspace(-2, 3, 11))
models = {
    "mean rating": None,
    "TF-IDF": make_pipeline(TfidfVectorizer(sublinear_tf=True), ridge),
    "features": make_pipeline(TransformerFeatureExtractor(), ridge),
    "fine-tuned": AttentionFineTuneRegressor(random_state=0),
}
predicted = {}
for name, model in models.items():
    if model is None:
        predicted[name] = np.full(len(test), train["rating"].mean())
    else:
        model.fit(train["text"], train["rating"])
        predicted[name] = model.predict(test["text"])
    error = mean_absolute_error(test["rating"], predicted[name])
    print(f"{name:>12}: mean absolute error {error:.3f}")

# %%
# Each point is a sentence. On the line, the prediction is the rating.

figure, axes = plt.subplots(1, 2, figsize=(8, 4), sharey=True, layout="constrained")
for name, plot in zip(["features", "fine-tuned"], axes, strict=True):
    plot.plot(test["rating"], predicted[name], "o", alpha=0.4, color="#0072B2")
    plot.plot([-4, 4], [-4, 4], color="gray", linestyle=":")
    plot.set(title=name, xlabel="rating", xlim=(-4, 4), ylim=(-4, 4))
axes[0].set(ylabel="predicted rating")
