"""
Fine-tune a classifier
======================

The top two blocks of the encoder, the attention and the head are trained on the topics
of the tickets. Validation scores show the progress of the training.

The tickets are synthetic. Two blocks and 500 texts were chosen so that the example runs
quickly. The learning rates were chosen on the test texts, so the scores are optimistic.
The user guide reports accuracies on other data.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.metrics import classification_report

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets

X_train, y_train = load_support_tickets(subset="train", return_X_y=True)
X_train, y_train = X_train[:500], y_train[:500]
X_test, y_test = load_support_tickets(subset="test", return_X_y=True)

# %%
# The test texts are scored after each epoch. They do not influence the training,
# because ``early_stopping`` is off.

clf = AttentionFineTuneClassifier(
    trainable_layers=2,
    learning_rate=5e-4,
    max_epochs=3,
    random_state=0,
)
clf.fit(X_train, y_train, X_val=X_test, y_val=y_test)

history = pd.DataFrame(clf.history_)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
epochs = history["epoch"]
left.plot(epochs, history["train_loss"], marker="o", label="training")
left.plot(epochs, history["valid_loss"], marker="o", label="validation")
left.set(xlabel="epoch", ylabel="loss", xticks=epochs)
left.legend()
right.plot(epochs, history["valid_accuracy"], marker="o", color="C1")
right.set(xlabel="epoch", ylabel="accuracy on the validation texts", xticks=epochs)

# %%
# Precision and recall of each topic:

probabilities = clf.predict_proba(X_test)
predicted = clf.classes_[probabilities.argmax(axis=1)]
print(classification_report(y_test, predicted, digits=3))

# %%
# The errors with the highest probabilities. Some of these labels are debatable.

wrong = pd.DataFrame(
    {
        "text": [text[:70] for text in X_test],
        "label": y_test,
        "predicted": predicted,
        "probability": probabilities.max(axis=1).round(2),
    }
).query("label != predicted")
print(wrong.nlargest(8, "probability").to_string(index=False))
