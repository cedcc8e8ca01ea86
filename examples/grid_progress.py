"""A grid search whose epochs are shown while it runs, by scikit-learn's progress bars.

python examples/grid_progress.py
python examples/grid_progress.py --encoder DIRECTORY --texts 60

It fits on a part of the support tickets that come with the package, and ends in
minutes. It needs rich, as scikit-learn's ``ProgressBar`` does.
"""

import argparse

from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", help="name or directory (default: all-MiniLM)")
    parser.add_argument("--texts", type=int, default=120, help="how many to fit on")
    arguments = parser.parse_args()

    X, y = load_support_tickets(subset="train", return_X_y=True)
    X, y = X[: arguments.texts], y[: arguments.texts]
    clf = AttentionFineTuneClassifier(
        max_length=32, long_texts="window", max_epochs=3, random_state=0
    )
    if arguments.encoder is not None:
        clf.set_params(encoder=arguments.encoder)
    print(clf.estimate_fit(X, y))

    # A monitor is set on the classifier, the bars on what is outermost.
    monitor = ScoringMonitor(scoring="accuracy")
    clf.set_callbacks(monitor)
    search = GridSearchCV(clf, {"pooling": ["attention", "mean"]}, cv=2)
    search.set_callbacks(ProgressBar()).fit(X, y)

    # Of the last fit: that of the best candidate to all texts.
    for row in monitor.get_logs().data[-clf.max_epochs :]:
        accuracy = row["accuracy"]
        print(f"{row['task_name']} {row['task_id'] + 1}: accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
