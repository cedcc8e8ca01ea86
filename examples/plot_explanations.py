"""
Explanations, and what they are worth
=====================================

Attention says which words a prediction was made of. Whether these words decide it is
another question, which can be measured: take them away, and predict again.

The tickets are synthetic, and full of words that give the topic away.
"""

import matplotlib.pyplot as plt

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets
from sklearn_attnft.displays import AttentionDisplay, LayerAttentionDisplay

X_train, y_train = load_support_tickets(subset="train", return_X_y=True)
X_test, y_test = load_support_tickets(subset="test", return_X_y=True)

clf = AttentionFineTuneClassifier(
    max_length=64,
    long_texts="window",
    trainable_layers=2,
    max_epochs=4,
    random_state=0,
)
clf.fit(X_train, y_train)
print(f"accuracy {clf.score(X_test, y_test):.3f}")

# %%
# What was read
# -------------
#
# The darker a word, the more of the context vector is its own. Hover over it for its
# share.

AttentionDisplay.from_estimator(clf, X_test[:3], words=True)

# %%
# The same as numbers, beside what each word adds to the score of the predicted class
# (the gradient times the embedding).

words = clf.explain(X_test[:3], attribution="gradient", words=True)
words.sort_values("token_attention", ascending=False).head(10).round(3)

# %%
# Which layers
# ------------

LayerAttentionDisplay.from_estimator(clf)
plt.show()

# %%
# Does it decide?
# ---------------
#
# Comprehensiveness is the fall of the predicted probability when the first words of a
# ranking are taken out of the text: high is good. Sufficiency is its fall when nothing
# else is left: low is good. Only beside a random ranking do they say something.

scores = clf.faithfulness(
    X_test[:40], attribution="gradient", n_random=2, random_state=0
)
means = scores.drop(columns="sample").groupby("ranking").agg(["mean", "sem"])

fig, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for ax, (measure, good) in zip(
    axes, [("comprehensiveness", "high"), ("sufficiency", "low")], strict=True
):
    of_measure = means[measure]
    ax.barh(
        of_measure.index, of_measure["mean"], xerr=of_measure["sem"], color="#0072B2"
    )
    ax.set(title=f"{measure} ({good} is good)", xlabel="fall of the probability")
plt.show()
