"""
Text beside numbers in a ColumnTransformer
==========================================

A table with a column of texts and columns of numbers: the extractor takes the one, a
scaler the others. Here the numbers are counted from the texts (length, exclamation
marks, capitals), to see whether the features of the encoder lack them when urgency is
predicted.

The tickets are synthetic.
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
# The column of texts is picked by its name, ``"text"``; a list of names would be a
# table of one column.

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
# A point for each fold. Where the folds of two columns overlap, do not speak of a
# difference.

figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
for row, values in enumerate(scores.values()):
    axes.plot(values, [row] * len(values), "o", alpha=0.6)
most_frequent = frame["urgency"].value_counts(normalize=True).max()
axes.axvline(
    most_frequent, color="grey", linestyle=":", label="the most frequent class"
)
axes.set_yticks(range(len(scores)), scores)
axes.set(xlabel="accuracy of urgency, 5 folds", ylim=(-0.5, len(scores) - 0.5))
axes.legend()
