"""
Explanations and mistakes
=========================

Integrated gradients show which words speak for a class. This page explains predictions
and mistakes with them, and compares them with attention.

The tickets are synthetic, and many of their words identify the topic.

Read more: :doc:`/guide/explanations` and :doc:`/guide/error_analysis`.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets
from sklearn_attnft.displays import AttentionDisplay

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
# Words for a class
# -----------------
#
# The display shades the words by their integrated gradients. Blue words speak for the
# predicted class, and orange words speak against it. The value is shown when the mouse
# pointer is over the word.

probabilities = clf.predict_proba(X_test)
predicted = clf.classes_[probabilities.argmax(axis=1)]
is_right = predicted == y_test
is_short = np.array([len(text) < 200 for text in X_test])
right = np.flatnonzero(is_right & is_short)[:3]
AttentionDisplay.from_estimator(clf, X_test[right], words=True)

# %%
# Why was this wrong?
# -------------------
#
# For the three mistakes with the highest probabilities, explain the predicted class and
# the true class, and subtract. Blue words speak for the wrong class, and orange words
# speak for the true class. In the second text, for example, "account" and "Money" speak
# for billing, and "back" speaks for returns.

wrong = np.flatnonzero(~is_right & is_short)
worst = wrong[np.argsort(-probabilities[wrong].max(axis=1))[:3]]
texts, true = X_test[worst], y_test[worst]
method = {"attribution": "integrated_gradients", "words": True}
why = clf.explain(texts, **method)
why["attribution"] -= clf.explain(texts, target=true, **method)["attribution"]
headings = [f"predicted: {predicted[i]}; true: {y_test[i]}" for i in worst]
AttentionDisplay(texts, why, column="attribution", headings=headings)

# %%
# The margin is the logit of the predicted class minus the logit of the true class. The
# differences of a text sum to what the text adds to the margin. If the sum is positive,
# the top words misled the model. If it is much smaller than the margin, as in the first
# text, they explain only a part of the mistake. If it is negative, the text speaks for
# the true class, and the model's preference without the text decided: do not read the
# top words. Both pages of the guide named above show the same recipe.

logits = clf.decision_function(texts)
of_true = logits[range(len(texts)), np.searchsorted(clf.classes_, true)]
margin = logits.max(axis=1) - of_true
for sample, words in why.groupby("sample"):
    total = words["attribution"].sum()
    top = words.nlargest(3, "attribution")["token"].tolist()
    print(f"{true[sample]} predicted as {predicted[worst[sample]]}: {top}")
    print(f"  margin {margin[sample]:.1f}, sum of the differences {total:.1f}")

# %%
# Attention is not an explanation
# -------------------------------
#
# Attention shows which tokens the model reads. On these tickets, it prefers punctuation
# and frequent words, which do not tell a reader why the model chose the class.

AttentionDisplay.from_estimator(clf, X_test[right], attribution=None, words=True)

# %%
# Which ranking of the words explains the prediction can be measured. Comprehensiveness
# is the drop of the predicted probability when the top tokens of a ranking are removed
# from the text. Higher is better. Sufficiency is the drop when only these tokens are
# kept. Lower is better. Compare both with those of a random ranking.

scores = clf.faithfulness(
    X_test[is_short][:20],
    attribution="integrated_gradients",
    n_random=2,
    random_state=0,
)
means = scores.drop(columns="sample").groupby("ranking").agg(["mean", "sem"])

fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True, layout="constrained")
fig.suptitle("How much the top words of each ranking change the prediction")
for ax, (measure, better) in zip(
    axes, [("comprehensiveness", "higher"), ("sufficiency", "lower")], strict=True
):
    drops = means[measure]
    ax.barh(drops.index, drops["mean"], xerr=drops["sem"], color="#0072B2")
    ax.set(title=f"{measure} ({better} is better)", xlabel="drop of the probability")
plt.show()
