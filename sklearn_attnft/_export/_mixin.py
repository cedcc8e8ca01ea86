# SPDX-License-Identifier: BSD-3-Clause
"""The method ``export_onnx`` of the estimators."""

from sklearn.utils.validation import check_is_fitted

from .._utils._messages import shorten
from .._utils._one_fit import reads_one_fit


@reads_one_fit
class ExportingMixin:
    """Mixin class with the method ``export_onnx``."""

    def export_onnx(self, path, *, quantize=None, overwrite=False, check_texts=None):
        """Write a directory from which ``OnnxPredictor`` predicts without torch.

        The directory contains ``model.onnx``, ``tokenizer.json``, ``config.json``,
        ``predictor.py`` and a model card. The graph ``model.onnx`` computes context
        vectors, logits and probabilities from token ids. The class ``OnnxPredictor`` in
        ``predictor.py`` predicts from texts, and needs only numpy, onnxruntime and
        tokenizers. This class is also available in :mod:`sklearn_attnft.predictor`. The
        export needs the extra ``onnx``.

        The predictions of the graph are compared with the predictions of the estimator,
        both in float32 on the CPU. If the predictions differ by more than 1e-4,
        ValueError is raised and the directory is not written. This limit does not apply
        to differences that int8 causes.

        Parameters
        ----------
        path : str or path-like
            Directory to create. It appears only after all files are written.
        quantize : {"int8"} or None, default=None
            Data type in which the encoder multiplies its weights. "int8" is faster than
            float32 and makes the graph smaller, but changes probabilities and some
            labels. If None, the encoder multiplies in float32.
        overwrite : bool, default=False
            Whether to replace an existing directory that ``export_onnx`` has written.
        check_texts : array-like of str, shape (n_samples,), default=None
            Texts on which the predictions are compared. With ``quantize="int8"``, pass
            a few hundred typical texts, because int8 is calibrated on these texts.
            ``config.json`` stores how much int8 changes the predictions for these
            texts. If None, built-in texts of several lengths and writing systems are
            used.

        Returns
        -------
        path : pathlib.Path
            Absolute path of the directory.

        Raises
        ------
        ImportError
            If the packages of the extra ``onnx`` are not installed.
        FileExistsError
            If `path` exists and `overwrite` is False, or if `path` exists and
            ``export_onnx`` did not write the directory.
        ValueError
            If a parameter is invalid, if torch cannot export a part of the estimator,
            if JSON cannot store the type of a label or of a task name, or if the
            predictions differ.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Warns
        -----
        UserWarning
            If int8 changes more than 1 % of the predicted labels of `check_texts`.
        """
        check_is_fitted(self, "module_")
        self._check_consistent()
        if quantize not in (None, "int8"):
            raise ValueError(
                f"`quantize` must be 'int8' or None, got {shorten(quantize, 80)}. Pass "
                "None to keep float32."
            )
        texts = None
        if check_texts is not None:
            texts = self._check_texts(check_texts, "check_texts")
        try:
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "export_onnx needs the packages onnx, onnxruntime and onnxscript, got "
                f"{type(error).__name__} ({error}). Install the extra onnx: pip "
                "install -c constraints.txt '.[onnx]'."
            ) from error
        from ._onnx import export  # not at the top, because it imports onnx

        return export(self, path, quantize, texts, overwrite=overwrite)
