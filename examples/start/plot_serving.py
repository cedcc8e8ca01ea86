"""
Serve an exported model
=======================

``export_onnx`` writes a fitted classifier as a directory that predicts without torch.
This example compares the exported model with the fitted one: the predictions, and the
time for one text.

The texts are questions to a bank with 30 intents, a small part of CLINC150. The export
needs the extra ``onnx``.

Read more: :doc:`/guide/serving`.
"""

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.predictor import OnnxPredictor

frame = pd.read_csv("../data/clinc150.csv", keep_default_na=False)
train, test = (frame[frame["subset"] == part] for part in ("train", "test"))
clf = AttentionFineTuneClassifier(random_state=0).fit(train["text"], train["intent"])
print(f"accuracy {clf.score(test['text'], test['intent']):.3f}")

# %%
# The export checks the graph against the classifier before it is written.

directory = Path(tempfile.mkdtemp()) / "exported"
clf.export_onnx(directory)
for file in sorted(directory.iterdir()):
    print(f"{file.name:>16} {file.stat().st_size / 1e6:7.2f} MB")

# %%
# ``OnnxPredictor`` needs numpy, onnxruntime and tokenizers only. Its predictions are
# those of the classifier.

model = OnnxPredictor(directory, threads=1)
texts = test["text"].tolist()
print(model.predict(["someone stole my visa card"]))
difference = np.abs(model.predict_proba(texts) - clf.predict_proba(texts)).max()
same = (model.predict(texts) == clf.predict(texts)).mean()
print(f"equal labels {same:.1%}, largest difference of a probability {difference:.4f}")

# %%
# If the processor computes in bfloat16, the probabilities of the classifier differ in
# the third digit. The export computes in float32.
#
# The time for one text at a time, which a service with little traffic needs. A line is
# a prediction, and a bar ends at the median:


def milliseconds(predict):
    """Return the time of each of 60 predictions of one text."""
    times = []
    for text in texts[:60]:
        start = time.perf_counter()
        predict([text])
        times.append(1000 * (time.perf_counter() - start))
    return times[10:]


times = {
    "fitted": milliseconds(clf.predict),
    "exported": milliseconds(model.predict),
}
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for row, values in enumerate(times.values()):
    axes.barh(row, np.median(values), color="#0072B2", alpha=0.4)
    axes.plot(values, [row] * len(values), "|", color="black", ms=20)
axes.set_yticks([0, 1], list(times))
axes.set(title="Time to predict one text, and median", xlabel="milliseconds")
