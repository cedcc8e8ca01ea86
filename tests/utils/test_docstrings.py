"""Parameters that two estimators share are documented once."""

import numpydoc.docscrape
import pytest

from sklearn_attnft import AttentionFineTuneClassifier, AttentionFineTuneRegressor
from sklearn_attnft._utils._docstrings import takes_parameter_docs


class Source:
    """Do one thing.

    Parameters
    ----------
    a : int, default=1
        The first. Two
        lines.
    b : str, default="x"
        The second.

    Attributes
    ----------
    c : int
    """

    def __init__(self, a=1, b="x"):
        pass


def parameters_of(cls):
    doc = numpydoc.docscrape.ClassDoc(cls)
    return {each.name: (each.type, each.desc) for each in doc["Parameters"]}


def test_missing_parameters_are_taken_in_the_order_of_the_signature():
    @takes_parameter_docs(Source)
    class Target:
        """Do another thing.

        Parameters
        ----------
        b : str, default="y"
            Another second.

        Notes
        -----
        Last.
        """

        def __init__(self, a=1, b="y"):
            pass

    found = parameters_of(Target)
    assert list(found) == ["a", "b"]
    assert found["a"] == parameters_of(Source)["a"]
    assert found["b"] == ('str, default="y"', ["Another second."])
    assert numpydoc.docscrape.ClassDoc(Target)["Notes"] == ["Last."]


def test_a_parameter_without_a_description_is_an_error():
    with pytest.raises(KeyError, match="z"):

        @takes_parameter_docs(Source)
        class Target:
            """Do another thing.

            Parameters
            ----------
            b : str
            """

            def __init__(self, b, z):
                pass


def test_without_docstrings_nothing_changes():
    class Bare:
        def __init__(self, a=1):
            pass

    assert takes_parameter_docs(Source)(Bare).__doc__ is None


def test_the_regressor_documents_its_parameters():
    ours = parameters_of(AttentionFineTuneRegressor)
    theirs = parameters_of(AttentionFineTuneClassifier)
    assert set(theirs) - set(ours) >= {"class_weight", "label_smoothing"}
    assert set(ours) - set(theirs) == {"loss"}
    assert all(description for _, description in ours.values())
    own = {name for name in ours if ours[name] != theirs.get(name)}
    assert own == {
        "head", "head_learning_rate", "early_stopping", "validation_fraction",
        "callbacks", "lm_epochs", "lm_weight", "cache", "loss",
    }  # fmt: skip
    words = " ".join(" ".join(ours[name][1]) for name in own)
    assert "classif" not in words
