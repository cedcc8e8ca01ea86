"""Encode texts with the openvino backend of sentence-transformers.

This script runs in an environment of its own, because optimum-intel needs an older
transformers. It reads a JSON dict from standard input ("encoder", "texts", "n_warm",
"max_length", "threads", "output"), writes the features to the file "output", and prints
the seconds as JSON.
"""

import json
import sys
import time

import numpy as np
from sentence_transformers import SentenceTransformer

task = json.load(sys.stdin)
model = SentenceTransformer(
    task["encoder"],
    backend="openvino",
    model_kwargs={"ov_config": {"INFERENCE_NUM_THREADS": str(task["threads"])}},
)
model.max_seq_length = task["max_length"]
model.encode(task["texts"][: task["n_warm"]])
clock, process = time.perf_counter(), time.process_time()
features = model.encode(task["texts"])
measured = {
    "cpu_seconds": round(time.process_time() - process, 5),
    "seconds": round(time.perf_counter() - clock, 5),
}
np.save(task["output"], features)
print(json.dumps(measured))
