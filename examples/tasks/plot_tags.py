"""
Several tags per text
=====================

Each request to a voice assistant has two tags: what it is about, such as "alarm", and
what to do, such as "set". A classifier learns all tags at once. Rare tags need a lower
threshold than 0.5.

The texts are a small part of MASSIVE: 600 requests for training and 300 for the test.

Read more: :doc:`/guide/several_labels`.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from sklearn_attnft import AttentionFineTuneClassifier

frame = pd.read_csv("../data/massive_en.csv")
train, test = (frame[frame["subset"] == part] for part in ("train", "test"))
print(train.head(4).to_string(index=False))

# %%
# ``MultiLabelBinarizer`` makes a matrix of 0 and 1 from the tags, with a column for
# each tag.

binarizer = MultiLabelBinarizer().fit(train["tags"].str.split())
y_train = binarizer.transform(train["tags"].str.split())
y_test = binarizer.transform(test["tags"].str.split())
clf = AttentionFineTuneClassifier(random_state=0)
clf.fit(train["text"][:400], y_train[:400])

requests = ["wake me up at six", "is there new mail from anna", "cancel my meeting"]
predicted = binarizer.inverse_transform(clf.predict(requests))
for text, tags in zip(requests, predicted, strict=True):
    print(f"{text:>30}: {', '.join(tags)}")

# %%
# The threshold of each tag is chosen on the 200 training texts that were held out.

probabilities = clf.predict_proba(train["text"][400:])
candidates = np.linspace(0.1, 0.9, 17)
thresholds = np.array(
    [
        max(candidates, key=lambda t: f1_score(y, p > t, zero_division=0))
        for y, p in zip(y_train[400:].T, probabilities.T, strict=True)
    ]
)
probabilities = clf.predict_proba(test["text"])
for name, threshold in (("0.5", 0.5), ("chosen", thresholds)):
    tagged = probabilities > threshold
    macro = f1_score(y_test, tagged, average="macro", zero_division=0)
    print(f"thresholds {name}: macro F1 {macro:.3f}")

# %%
# F1 of each tag on the test texts, with the number of training texts:

scores = f1_score(y_test, probabilities > 0.5, average=None, zero_division=0)
counts = y_train[:400].sum(axis=0)
order = np.argsort(counts)
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
labels = [f"{binarizer.classes_[i]} ({counts[i]})" for i in order]
axes.barh(labels, scores[order], color="#0072B2")
axes.set(title="F1 of each tag (training texts)", xlabel="F1", xlim=(0, 1))
