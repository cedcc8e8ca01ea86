"""
Several tasks with missing labels
=================================

The topic, urgency and sentiment of tickets are learned with one encoder, which encodes
each text once for all tasks. Half of the urgency labels are removed before the fit, as
if only some tickets had been rated.

The tickets are synthetic, so the scores do not apply to real texts. The parameters are
the defaults.

Read more: :doc:`/guide/tasks`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier
from sklearn_attnft.datasets import load_support_tickets

names = ["topic", "urgency", "sentiment"]
X_train, y_train = load_support_tickets(
    label=names, subset="train", return_X_y=True, as_frame=True
)
X_test, y_test = load_support_tickets(
    label=names, subset="test", return_X_y=True, as_frame=True
)
X_train, y_train = X_train[:420], y_train[:420]
is_rated = np.random.RandomState(0).rand(len(X_train)) < 0.5
y_train = y_train.assign(urgency=y_train["urgency"].where(is_rated, None))
print(y_train.head(6).to_string())

# %%
# Missing labels do not contribute to the loss. ``task_params`` sets parameters of
# single tasks.

clf = MultiTaskClassifier(
    AttentionFineTuneClassifier(random_state=0),
    task_params={"sentiment": {"class_weight": "balanced"}},
)
clf.fit(X_train, y_train)

# %%
# One call predicts all tasks and encodes each text once. ``clf.task("urgency")`` is a
# classifier of one task with the same weights.

predicted = clf.predict(X_test)
print(predicted.assign(text=X_test.str[:60]).head().to_string(index=False))
for name in names:
    most_frequent = y_test[name].value_counts(normalize=True).max()
    accuracy = (predicted[name] == y_test[name]).mean()
    print(
        f"{name:>10}: accuracy {accuracy:.3f}, most frequent class {most_frequent:.3f}"
    )

# %%
# Most errors of urgency and sentiment are between neighboring classes.

orders = {
    "urgency": ["low", "normal", "high"],
    "sentiment": ["negative", "neutral", "positive"],
}
figure, axes = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
for name, plot in zip(orders, axes, strict=True):
    ConfusionMatrixDisplay.from_predictions(
        y_test[name],
        predicted[name],
        labels=orders[name],
        cmap="Blues",
        colorbar=False,
        ax=plot,
    )
    plot.set_title(name)
