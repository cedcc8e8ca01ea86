"""Show the epochs of a running grid search with progress bars of scikit-learn.

python examples/grid_progress.py
python examples/grid_progress.py --encoder DIRECTORY --texts 60

The script fits on a part of the support tickets that are included in the package. It
takes some minutes. The ``ProgressBar`` of scikit-learn requires rich.
"""

import argparse

from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", help="name or directory (default: all-MiniLM)")
    parser.add_argument("--texts", type=int, default=120, help="number of texts")
    arguments = parser.parse_args()

    X, y = load_support_tickets(subset="train", return_X_y=True)
    X, y = X[: arguments.texts], y[: arguments.texts]
    clf = AttentionFineTuneClassifier(
        max_length=32, long_texts="window", max_epochs=3, random_state=0
    )
    if arguments.encoder is not None:
        clf.set_params(encoder=arguments.encoder)
    print(clf.estimate_fit(X, y))

    # The monitor belongs to the classifier, and the bars to the outermost estimator.
    monitor = ScoringMonitor(scoring="accuracy")
    clf.set_callbacks(monitor)
    search = GridSearchCV(clf, {"pooling": ["attention", "mean"]}, cv=2)
    search.set_callbacks(ProgressBar()).fit(X, y)

    # The last fit is that of the best candidate on all texts.
    for row in monitor.get_logs().data[-clf.max_epochs :]:
        accuracy = row["accuracy"]
        print(f"{row['task_name']} {row['task_id'] + 1}: accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
