"""Load test of a service on the loopback: an exported model, compared with torch.

python benchmarks/serve.py --data DIRECTORY --serving PYTHON [--torch PYTHON]

PYTHON of ``--serving`` has only numpy, onnxruntime, tokenizers, fastapi and uvicorn.
PYTHON of ``--torch`` has this package, fastapi and uvicorn. A classifier is fitted on
1,000 texts of trec. Both services run the code of docs/guide/serving.md, with one
thread for each worker. Eight clients send requests of one text, for ten seconds. With
two workers, a worker is killed under load afterwards: "failed" is the number of
requests that get no answer, and "after" is the number of answers in the five seconds
that follow.

Each service appends one JSON line to results/serve.jsonl.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import joblib
import numpy as np
from _common import RESULTS, append, read

from sklearn_attnft import AttentionFineTuneClassifier

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "serving.md"
WORKERS = (1, 2, 4)
N_CLIENTS, SECONDS = 8, 10
LOAD = {
    "export": "model = OnnxPredictor('.', threads=1)",
    "torch": "import joblib, torch\ntorch.set_num_threads(1)\n"
    "model = joblib.load('model.joblib')",
}


def service(kind):
    """Return the code of the service of the guide, with another model for torch."""
    code = re.search(r"```text\n(from fastapi.*?)```", PAGE.read_text(), re.DOTALL)[1]
    if kind == "torch":
        code = code.replace("from predictor import OnnxPredictor\n", "")
    return re.sub(r"^model = .*$", LOAD[kind], code, flags=re.MULTILINE)


@contextlib.contextmanager
def running(python, directory, n_workers):
    """Run a service and yield its port and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "uvicorn", "service:app", "--port", str(port)]
    command += ["--workers", str(n_workers), "--log-level", "error"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=directory, env=environment)
    try:
        wait_until_ready(port, process)
        yield port, process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def wait_until_ready(port, process):
    for _ in range(600):
        with contextlib.suppress(OSError):
            ask(http.client.HTTPConnection("127.0.0.1", port, timeout=60), "It rains.")
            return
        if process.poll() is not None:
            raise SystemExit(f"the service ended with {process.returncode}")
        time.sleep(0.1)
    raise SystemExit("the service does not answer")


def ask(connection, text):
    body = json.dumps({"texts": [text]})
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    # uvicorn sends header and body apart. Without this option, the body can wait 40 ms
    # until the client's kernel confirms the header.
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    return json.loads(answer.read())


def load(port, texts, seconds):
    """Return the seconds of all answers, and the number of failed requests."""
    answers, failures, end = [], [], time.monotonic() + seconds

    def client(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for i in range(number, 10**9, N_CLIENTS):
            start = time.monotonic()
            if start > end:
                return
            try:
                ask(connection, texts[i % len(texts)])
                answers.append(time.monotonic() - start)
            except (OSError, http.client.HTTPException):
                failures.append(start)
                connection.close()

    clients = [threading.Thread(target=client, args=(i,)) for i in range(N_CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    return answers, len(failures)


def workers_of(process):
    """Return the process ids of the workers of a service."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    children = [int(each) for each in path.read_text().split()]
    is_tracker = ["resource_tracker" in _command(each) for each in children]
    return [pid for pid, t in zip(children, is_tracker, strict=True) if not t] or [
        process.pid
    ]


def _command(pid):
    return Path(f"/proc/{pid}/cmdline").read_text()


def megabytes(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def run(kind, python, directory, texts):
    (directory / "service.py").write_text(service(kind))
    for n_workers in WORKERS:
        with running(python, directory, n_workers) as (port, process):
            load(port, texts, 1)  # opens all workers
            answers, failed = load(port, texts, SECONDS)
            row = {"service": kind, "workers": n_workers, "failed": failed}
            row["requests_per_second"] = round(len(answers) / SECONDS, 1)
            for q in (50, 99):
                row[f"p{q}_ms"] = round(1e3 * float(np.percentile(answers, q)), 1)
            workers = workers_of(process)
            row["megabytes_per_worker"] = [megabytes(each) for each in workers]
            if n_workers == 2:
                row["killed"] = kill_one(port, workers[0], texts)
        append(RESULTS / "serve.jsonl", row)


def kill_one(port, pid, texts):
    """Kill a worker under load, and return failed and later requests."""
    threading.Timer(1, os.kill, (pid, signal.SIGKILL)).start()
    _, failed = load(port, texts, 2)
    after, later_failed = load(port, texts, 5)
    return {"failed": failed, "after": len(after), "failed_after": later_failed}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="directory with the data sets")
    parser.add_argument("--serving", required=True, help="Python without torch")
    parser.add_argument("--torch", default=sys.executable, help="Python with torch")
    arguments = parser.parse_args()
    texts, labels = read(arguments.data, "trec", "train")
    clf = AttentionFineTuneClassifier(random_state=0).fit(texts[:1000], labels[:1000])
    clf.set_params(precision="float32")
    test, _ = read(arguments.data, "trec", "test")
    with tempfile.TemporaryDirectory() as directory:
        exported, pickled = Path(directory, "exported"), Path(directory, "pickled")
        clf.export_onnx(exported)
        pickled.mkdir()
        joblib.dump(clf, pickled / "model.joblib")
        run("export", arguments.serving, exported, test)
        run("torch", arguments.torch, pickled, test)
