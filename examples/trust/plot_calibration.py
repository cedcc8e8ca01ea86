"""
Calibrated probabilities and thresholds
=======================================

This example predicts whether a ticket is urgent. Probabilities are calibrated if 70%
of the tickets with a predicted probability of 0.7 are urgent. If a missed urgent ticket
costs more than an unneeded check, the best threshold is lower than 0.5. scikit-learn
has tools for both tasks, and they accept the fine-tuned classifier.

The tickets are synthetic, and the costs are invented. The parameters are the defaults.

Read more: :doc:`/guide/calibration`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import FixedThresholdClassifier

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets

X, urgency = load_support_tickets(label="urgency", subset="train", return_X_y=True)
X_test, y_test = load_support_tickets(label="urgency", subset="test", return_X_y=True)
y, y_test = urgency == "high", y_test == "high"
X_train, X_held, y_train, y_held = X[:420], X[420:], y[:420], y[420:]

# %%
# The classifier is fitted on a part of the texts. The others are held out for
# calibration.

clf = AttentionFineTuneClassifier(random_state=0).fit(X_train, y_train)

# %%
# ``FrozenEstimator`` leaves the fitted classifier unchanged, and one temperature is
# learned on the held-out texts. A lower log loss means better probabilities.

calibrated = CalibratedClassifierCV(FrozenEstimator(clf), method="temperature")
calibrated.fit(X_held, y_held)
models = {"as fitted": clf, "calibrated": calibrated}
urgent = {name: model.predict_proba(X_test)[:, 1] for name, model in models.items()}
figure, axes = plt.subplots(figsize=(5.5, 4), layout="constrained")
for name, probabilities in urgent.items():
    print(f"{name}: log loss {log_loss(y_test, probabilities):.3f}")
    CalibrationDisplay.from_predictions(
        y_test, probabilities, n_bins=6, strategy="quantile", name=name, ax=axes
    )
axes.set(title="Calibration of the probability of urgent")
axes.set(xlabel="predicted probability of urgent", ylabel="fraction of urgent tickets")

# %%
# Assume that a missed urgent ticket costs 5 and an unneeded check costs 1. A check pays
# if 5 times the probability of urgent is above 1 minus this probability. So the
# threshold of calibrated probabilities is 1 / (1 + 5), and no texts are needed to
# choose it.


def cost(y_true, y_pred):
    """Return the cost per ticket."""
    missed, unneeded = (y_true & ~y_pred), (~y_true & y_pred)
    return (5 * missed.sum() + unneeded.sum()) / len(y_true)


decided = FixedThresholdClassifier(FrozenEstimator(calibrated), threshold=1 / 6)
decided.fit(X_held, y_held)
print(f"cost per ticket at 0.5: {cost(y_test, urgent['calibrated'] > 0.5):.3f}")
print(f"cost per ticket at 1/6: {cost(y_test, decided.predict(X_test)):.3f}")

# %%

thresholds = np.linspace(0.02, 0.98, 49)
costs = [cost(y_test, urgent["calibrated"] >= threshold) for threshold in thresholds]
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
axes.plot(thresholds, costs)
axes.axvline(1 / 6, color="C1", label="1/6, from the costs")
axes.axvline(0.5, color="gray", linestyle=":", label="0.5")
axes.set(title="Cost of each threshold")
axes.set(xlabel="threshold", ylabel="cost per ticket, test texts")
axes.legend()
