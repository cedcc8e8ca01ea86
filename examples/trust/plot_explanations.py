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

predicted = clf.predict(X_test)
is_right = predicted == y_test
is_short = np.array([len(text) < 200 for text in X_test])
right = np.flatnonzero(is_right & is_short)[:3]
AttentionDisplay.from_estimator(clf, X_test[right], words=True)

# %%
# Why was this wrong?
# -------------------
#
# For each mistake, explain the predicted class and the true class, and subtract. Blue
# words led the model to the wrong class. Orange words spoke for the true class. In the
# last text, for example, "want", "euros" and "back" ask for a return, but the text also
# contains "Unless you know", as questions do.

wrong = np.flatnonzero(~is_right & is_short)[:3]
method = {"attribution": "integrated_gradients", "words": True}
why = clf.explain(X_test[wrong], **method)
for_truth = clf.explain(X_test[wrong], target=y_test[wrong], **method)
why["attribution"] -= for_truth["attribution"]
headings = [f"predicted: {predicted[i]}; true: {y_test[i]}" for i in wrong]
AttentionDisplay(X_test[wrong], why, column="attribution", headings=headings)

# %%
# The five words of each text that misled the model most.

misled = why.sort_values("attribution", ascending=False).groupby("sample").head(5)
misled = misled.sort_values(["sample", "attribution"], ascending=[True, False])
misled[["sample", "token", "attribution"]].round(2)

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
