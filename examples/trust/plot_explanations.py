"""
Explanations and their faithfulness
===================================

Attention shows which words are weighted most in a prediction. It does not show whether
these words determine the prediction. This can be measured: remove the words and predict
again.

The tickets are synthetic, and many of their words identify the topic.
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
# Attended words
# --------------
#
# The darker a word, the larger its fraction of the attention. The fraction is shown
# when the mouse pointer is over the word.

AttentionDisplay.from_estimator(clf, X_test[:3], words=True)

# %%
# The table shows the same values together with the attribution of each word, which is
# the gradient of the predicted class's score times the embedding.

words = clf.explain(X_test[:3], attribution="gradient", words=True)
words.sort_values("token_attention", ascending=False).head(10).round(3)

# %%
# Attended layers
# ---------------

LayerAttentionDisplay.from_estimator(clf)
plt.show()

# %%
# Faithfulness
# ------------
#
# Comprehensiveness is the drop of the predicted probability when the top words of a
# ranking are removed from the text. Higher is better. Sufficiency is the drop when only
# these words are kept. Lower is better. Compare both with those of a random ranking.

scores = clf.faithfulness(
    X_test[:40], attribution="gradient", n_random=2, random_state=0
)
means = scores.drop(columns="sample").groupby("ranking").agg(["mean", "sem"])

fig, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for ax, (measure, better) in zip(
    axes, [("comprehensiveness", "higher"), ("sufficiency", "lower")], strict=True
):
    drops = means[measure]
    ax.barh(drops.index, drops["mean"], xerr=drops["sem"], color="#0072B2")
    ax.set(title=f"{measure} ({better} is better)", xlabel="drop of the probability")
plt.show()
