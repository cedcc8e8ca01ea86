"""
Which layers attention selects
==============================

Layer attention computes a weighted sum of the hidden states of all layers. At the start
of training, the last layer of the default encoder has a weight of 0.77, and the other
six layers have equal weights. Training changes the weights, so they show which layers
are useful for the labels.

The tickets are synthetic, so the weights and scores do not apply to real texts.

Read more: :doc:`/guide/method`.
"""

import matplotlib.pyplot as plt

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier
from sklearn_attnft.datasets import load_support_tickets
from sklearn_attnft.displays import LayerAttentionDisplay

tasks = ["topic", "urgency", "sentiment"]
X, y = load_support_tickets(label=tasks, subset="train", return_X_y=True, as_frame=True)
X, y = X[:400], y[:400]
X_test, y_test = load_support_tickets(
    label=tasks, subset="test", return_X_y=True, as_frame=True
)

# %%
# A frozen encoder
# ----------------
#
# With ``trainable_layers=0``, only attention and head are learned. The default encoder
# was trained so that the mean of its last layer describes what a text is about. All
# three tasks give nearly all of the weight to this layer.

frozen = MultiTaskClassifier(
    AttentionFineTuneClassifier(trainable_layers=0, random_state=0)
).fit(X, y)
display = LayerAttentionDisplay.from_estimator(frozen)
display.ax_.set_title("Layer weights of three tasks, frozen encoder")
plt.show()

# %%
# A trained encoder
# -----------------
#
# If the encoder is trained too, its last layers adapt to the labels, and the weight of
# the last layer hardly changes.

trained = AttentionFineTuneClassifier(random_state=0).fit(X, y["topic"])
display = LayerAttentionDisplay.from_estimator(
    {
        "topic, frozen encoder": frozen.task("topic"),
        "topic, trained encoder": trained,
    }
)
display.ax_.set_title("Layer weights of a frozen and a trained encoder")
plt.show()

# %%
# Do other layers improve the result?
# -----------------------------------
#
# A weight does not show how much the accuracy depends on a layer, because neighboring
# layers contain similar information. To find out, fit a classifier that reads only the
# last layer.

last = MultiTaskClassifier(
    AttentionFineTuneClassifier(trainable_layers=0, layers="last", random_state=0)
).fit(X, y)
accuracies = {
    name: [clf.task(task).score(X_test, y_test[task]) for task in tasks]
    for name, clf in {"all layers": frozen, "last layer": last}.items()
}
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for shift, (name, values) in zip((-0.2, 0.2), accuracies.items(), strict=True):
    positions = [i + shift for i in range(len(tasks))]
    bars = ax.bar(positions, values, width=0.36, label=name)
    ax.bar_label(bars, fmt="%.3f")
ax.set_xticks(range(len(tasks)), tasks)
ax.set(title="Frozen encoder: all layers or the last", ylabel="accuracy", ylim=(0, 1))
ax.legend(loc="lower right")
plt.show()
# sphinx_gallery_thumbnail_number = 3
