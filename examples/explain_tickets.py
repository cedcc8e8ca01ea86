"""What in a support ticket decides on its topic, and how far that is to be trusted.

python examples/explain_tickets.py

It fine-tunes on the shipped tickets, prints the words with the most attention, beside
their attribution, and how both stand against random words; it writes tickets.html and
tickets.png (with matplotlib: ``pip install 'sklearn_attnft[plot]'``). Minutes.
"""

from pathlib import Path

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets
from sklearn_attnft.displays import AttentionDisplay


def main():
    """Fit, explain three tickets, and measure the explanations on some more."""
    X_train, y_train = load_support_tickets(subset="train", return_X_y=True)
    X_test, _ = load_support_tickets(subset="test", return_X_y=True)
    clf = AttentionFineTuneClassifier(random_state=0, verbose=1).fit(X_train, y_train)

    words = clf.explain(X_test[:3], attribution="gradient", words=True)
    top = words.sort_values("token_attention", ascending=False).groupby("sample")
    print(top.head(5).sort_values(["sample", "start"]).to_string(index=False))

    scores = clf.faithfulness(X_test[:20], attribution="gradient", random_state=0)
    print("high comprehensiveness and low sufficiency are good, beside random:")
    print(scores.drop(columns="sample").groupby("ranking").mean().round(3))

    display = AttentionDisplay.from_estimator(clf, X_test[:3], words=True)
    Path("tickets.html").write_text(display.to_html(), encoding="utf-8")
    display.plot().figure_.savefig("tickets.png")


if __name__ == "__main__":
    main()
