"""
Texts and numbers in a ColumnTransformer
========================================

In a table with a column of texts and columns of numbers, the extractor transforms the
texts and a scaler transforms the numbers. Here the numbers are counts from the texts:
characters, exclamation marks and words in capitals. The example tests whether they
improve the prediction of urgency compared with the features of the encoder alone.

The tickets are synthetic, so the differences do not apply to real texts.

Read more: :doc:`/guide/text_and_numbers`.
"""

import matplotlib.pyplot as plt
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_attnft import TransformerFeatureExtractor
from sklearn_attnft.datasets import load_support_tickets

frame = load_support_tickets(subset="train", as_frame=True).frame
frame["characters"] = frame["text"].str.len()
frame["exclamations"] = frame["text"].str.count("!")
frame["capitals"] = frame["text"].str.count(r"\b[A-Z]{2,}\b")
print(frame.groupby("urgency")[["characters", "exclamations", "capitals"]].mean())

# %%
# The name ``"text"`` selects the column of texts as a Series.

numbers = (StandardScaler(), ["characters", "exclamations", "capitals"])
text = (TransformerFeatureExtractor(cache="memory"), "text")
columns = {
    "numbers": make_column_transformer(numbers),
    "text": make_column_transformer(text),
    "text and numbers": make_column_transformer(text, numbers),
}
scores = {}
for name, transformer in columns.items():
    model = make_pipeline(transformer, LogisticRegression(max_iter=2000))
    scores[name] = cross_val_score(model, frame, frame["urgency"], cv=5)
    print(f"{name:>18}: {scores[name].mean():.3f}")

# %%
# Each point is a fold. Small differences between overlapping sets of points are not
# reliable.

figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for row, values in enumerate(scores.values()):
    axes.plot(values, [row] * len(values), "o", alpha=0.6, ms=9)
most_frequent = frame["urgency"].value_counts(normalize=True).max()
axes.axvline(
    most_frequent, color="gray", linestyle=":", label="the most frequent class"
)
axes.set_yticks(range(len(scores)), scores)
axes.set(title="Urgency from text, numbers, or both", xlabel="accuracy, 5 folds")
axes.set(ylim=(-0.5, len(scores) - 0.5))
axes.legend(loc="lower right")
