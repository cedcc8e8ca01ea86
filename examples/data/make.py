"""Write the data sets of the examples from their sources.

python examples/data/make.py --data DIRECTORY --ratings FILE

DIRECTORY has the data sets of benchmarks/README.md. FILE is
amazonReviewSnippets_GroundTruth.txt from hutto_ICWSM_2014.tar.gz, which is part of the
source distribution of vaderSentiment 3.3.2. The pages NAME.md describe the sources and
the licenses.
"""

import argparse
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
NOT_SHOWN = "sex|pedophil|rape|porn|murder|women in prison"
SCENARIOS = ["alarm", "calendar", "email", "lists", "social"]


def read(folder, name):
    """Return the rows of a file, without repeated texts."""
    frame = pd.read_csv(folder / f"{name}.csv.gz", keep_default_na=False)
    return frame.drop_duplicates("text")


def write(name, **parts):
    """Write the parts, without test texts that are training texts too."""
    seen = set(parts["train"]["text"])
    parts["test"] = parts["test"][~parts["test"]["text"].isin(seen)]
    frame = pd.concat([part.assign(subset=key) for key, part in parts.items()])
    frame.to_csv(HERE / f"{name}.csv", index=False, lineterminator="\n")
    print(f"{name}: {frame['subset'].value_counts().to_dict()}")


def write_clinc150(folder):
    parts = {}
    for part, n in (("train", 15), ("test", 8)):
        frame = read(folder, part)
        frame = frame[frame["label_domain"].isin(["banking", "credit_cards"])]
        frame = frame.groupby("label").head(n)
        parts[part] = frame.rename(
            columns={"label": "intent", "label_domain": "domain"}
        )
    unknown = read(folder, "oos_test").head(100)[["text"]]
    parts["unknown"] = unknown.assign(intent="", domain="")
    write("clinc150", **parts)


def write_dbpedia14(folder):
    parts = {}
    for part, n in (("train", 25), ("test", 20)):
        frame = read(folder, part)
        frame = frame[~frame["text"].str.contains(NOT_SHOWN, case=False)]
        parts[part] = frame.groupby("label").head(n)
    write("dbpedia14", **parts)


def write_massive_en(folder):
    parts = {}
    for part, n in (("train", 600), ("test", 300)):
        frame = read(folder, part)
        frame = frame[frame["label_scenario"].isin(SCENARIOS)]
        frame = frame.sample(min(n, len(frame)), random_state=0).sort_index()
        action = frame["label"].str.split("_").str[1]
        tags = frame["label_scenario"] + " " + action
        parts[part] = pd.DataFrame({"text": frame["text"], "tags": tags})
    write("massive_en", **parts)


def write_product_reviews(file):
    frame = pd.read_csv(file, sep="\t", names=["id", "rating", "text"], quoting=3)
    n_words = frame["text"].str.split().str.len()
    frame = frame[n_words.between(5, 40)].drop_duplicates("text")
    review = frame["id"].str.split("_").str[0].astype(int)
    rows = frame[["text", "rating"]]
    train, test = rows[review % 3 > 0], rows[review % 3 == 0]
    write(
        "product_reviews",
        train=train.sample(600, random_state=0).sort_index(),
        test=test.sample(300, random_state=0).sort_index(),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="directory")
    parser.add_argument("--ratings", type=Path, required=True, help="file")
    arguments = parser.parse_args()
    write_clinc150(arguments.data / "clinc150")
    write_dbpedia14(arguments.data / "dbpedia14")
    write_massive_en(arguments.data / "massive_en")
    write_product_reviews(arguments.ratings)


if __name__ == "__main__":
    main()
