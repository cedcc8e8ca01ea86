# SPDX-License-Identifier: BSD-3-Clause
"""Convert a TextModel to a module that torch can export, and then to an ONNX graph."""

import ast
import contextlib
import copy
import logging
import warnings

import onnx
import torch
from torch import nn

from .. import _hf
from .._model._encoding import run_encoder
from .._utils._messages import shorten
from .._utils._process import in_float32, on_cpu, preserve_generator

OPSET = 20
SCOPES = "pkg.torch.onnx.name_scopes"  # key of the module names
# Warnings of torch.onnx and of the packages that torch.onnx imports. They can be
# ignored, because the graph is compared with the estimator after the export.
IGNORED = (
    (DeprecationWarning, ""),
    (FutureWarning, ""),
    (UserWarning, "# 'dynamic_axes'"),
)


class ExportedModel(nn.Module):
    """Copy of a TextModel that torch can export to ONNX.

    An ExportedModel differs from a TextModel in three ways. It runs without autocast.
    Its input has the row indices of the windows of each text, not the number of
    windows. It returns the outputs of all tasks at once, in the order of the user's
    tasks.

    Parameters
    ----------
    model : TextModel
        The weights are copied to the CPU.
    order : list of int
        Indices of ``model.tasks``, in the order of the outputs.
    activations : list of callable
        For each task that has classes, a function that converts logits to
        probabilities.

    Attributes
    ----------
    output_names : list of str
        Names of the outputs of ``forward``. "contexts" is always included. "logits" is
        included if there are heads, and "probabilities" if all tasks have classes.
        "scores" (of ``score_samples``) is included if there is only one task and this
        task has a density.
    """

    def __init__(self, model, order, activations):
        super().__init__()
        self.encoder = _hf.copy_for_export(model.encoder)
        tasks = [copy.deepcopy(model.tasks[i]).cpu().float().eval() for i in order]
        for task in tasks:
            if task.recur is not None:
                task.recur = ExportedLSTM(task.recur.lstm)
        self.layers, self.tasks = model.layers, nn.ModuleList(tasks)
        self._activations = activations
        self.requires_grad_(False).eval()
        self.output_names = self._find_outputs()

    def _find_outputs(self):
        density = self.tasks[0].density
        available = {
            "contexts": True,
            "logits": all(task.classify is not None for task in self.tasks),
            "probabilities": len(self._activations) == len(self.tasks),
            "scores": len(self.tasks) == 1 and density is not None and density.is_set,
        }
        return [name for name, is_there in available.items() if is_there]

    def forward(self, input_ids, attention_mask, windows=None):
        """Return the outputs for texts, in the order of `output_names`.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)
        windows : tensor of int64, shape (n_texts, max_windows), or None
            For each text, the row indices of its windows in `input_ids`, padded with
            -1. If None, each row is a text.

        Returns
        -------
        tuple of tensor of float32, each (n_texts, n_outputs)
        """
        states = run_encoder(
            self.encoder, attention_mask, self.layers, input_ids=input_ids
        )
        contexts = []
        for task in self.tasks:
            tokens, mask = task.mix(states), attention_mask.bool()
            if windows is not None:
                rows = windows.clamp(min=0)
                tokens = tokens[rows].flatten(1, 2)
                mask = (mask[rows] & (windows >= 0).unsqueeze(2)).flatten(1, 2)
            if task.recur is not None:
                tokens, mask = task.recur(tokens, mask)
            contexts.append(task.pool(tokens, mask))
        return self._outputs(contexts)

    def _outputs(self, contexts):
        """Return the outputs that `output_names` lists, given the context vectors."""
        results, names = [contexts], self.output_names
        if "logits" in names:
            pairs = zip(self.tasks, contexts, strict=True)
            results.append([task.classify(each) for task, each in pairs])
        if "probabilities" in names:
            pairs = zip(self._activations, results[1], strict=True)
            results.append([activate(logits) for activate, logits in pairs])
        if "scores" in names:
            results.append([self.tasks[0].density.score(contexts[0])[:, None].float()])
        return tuple(torch.cat(each, dim=1) for each in results)


def softmax(logits):
    """Return the probabilities of a task in which each text has one class."""
    return torch.softmax(logits, dim=1)


class ExportedLSTM(nn.Module):
    """Copy of a TokenLSTM that torch exports as a single ONNX operator.

    Parameters
    ----------
    lstm : torch.nn.LSTM
        A bidirectional LSTM of one layer.
    """

    def __init__(self, lstm):
        super().__init__()
        self.hidden_size = lstm.hidden_size
        weights = dict(lstm.named_parameters())

        def both(name):
            pair = weights[f"{name}_l0"], weights[f"{name}_l0_reverse"]
            return torch.stack([self._reorder(each.detach()) for each in pair])

        self.register_buffer("W", both("weight_ih"))  # (2, 4 * hidden, n_features)
        self.register_buffer("R", both("weight_hh"))  # (2, 4 * hidden, hidden)
        biases = both("bias_ih"), both("bias_hh")
        self.register_buffer("B", torch.cat(biases, dim=1))  # (2, 8 * hidden)

    @staticmethod
    def _reorder(weights):
        """Change the order of the LSTM gates from the torch order to the ONNX order."""
        gate_in, gate_forget, gate_cell, gate_out = weights.chunk(4)
        return torch.cat([gate_in, gate_out, gate_forget, gate_cell])

    def forward(self, tokens, mask):
        """Return the output of the LSTM for each token, and a new mask.

        Padding between the windows of a text is moved to the end.
        """
        n_texts, n_tokens = mask.shape
        lengths = mask.sum(dim=1)
        positions = torch.arange(n_tokens)
        # Padding gets the largest sort keys. All keys differ, so the order is unique.
        front = (positions + n_tokens * (~mask).long()).argsort(dim=1)
        tokens = tokens.gather(1, front.unsqueeze(2).expand_as(tokens))
        output = torch.onnx.ops.symbolic(
            "LSTM",
            (tokens.transpose(0, 1), self.W, self.R, self.B, lengths.int()),
            {"direction": "bidirectional", "hidden_size": self.hidden_size},
            dtype=torch.float32,
            shape=(n_tokens, 2, n_texts, self.hidden_size),
        )
        output = output.permute(2, 0, 1, 3).flatten(2)
        return output, positions < lengths.unsqueeze(1)


def to_onnx(model, vocab_size, *, has_windows):
    """Return the graph of an ExportedModel as an ``onnx.ModelProto``.

    Raises
    ------
    ValueError
        If torch cannot export a part of the model.
    """
    with on_cpu(), in_float32(torch.device("cpu")):
        return _plain(_convert(model, vocab_size, has_windows))


def _convert(model, vocab_size, has_windows):
    """Return the graph as torch writes it."""
    dynamic = torch.export.Dim.DYNAMIC
    # All sizes are above 1 and differ from one another. Otherwise, torch could replace
    # a size by a constant.
    ids = torch.arange(5 * 7).reshape(5, 7) % min(vocab_size, 7)
    mask = (torch.arange(7) < torch.tensor([7, 6, 4, 5, 3])[:, None]).long()
    inputs, names = [ids, mask], ["input_ids", "attention_mask"]
    if has_windows:
        inputs.append(torch.tensor([[0, 1, -1], [2, 3, 4]]))
        names.append("windows")
    try:
        with preserve_generator(), torch.no_grad(), _quiet():
            program = torch.onnx.export(
                model,
                tuple(inputs),
                dynamo=True,
                opset_version=OPSET,
                input_names=names,
                output_names=model.output_names,
                dynamic_shapes=[{0: dynamic, 1: dynamic}] * len(inputs),
                verbose=False,
            )
    except Exception as error:  # torch raises errors of many types
        family = model.encoder.config.model_type
        raise ValueError(
            "This estimator cannot be exported, because torch.onnx cannot convert its "
            f"encoder of model type {family!r}, one of its poolings or one of its "
            f"heads: {_cause(error)}. Use save, or another encoder."
        ) from error
    return program.model_proto


def _cause(error):
    """Return the original error of a chain of exceptions as one line of text."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {shorten(text, 300, str)}"


def _plain(proto):
    """Remove file names and source code from a graph, and rename its nodes.

    The new name of each node begins with the name of the module that contains it.
    """
    for node in proto.graph.node:
        scopes = {each.key: each.value for each in node.metadata_props}.get(SCOPES)
        if scopes:
            *modules, _ = ast.literal_eval(scopes)  # the last scope is an operation
            node.name = f"{modules[-1] if modules else ''}/{node.name}"
    del proto.metadata_props[:]
    proto.producer_name, proto.doc_string = "sklearn_attnft", ""
    for graph in [proto.graph, *proto.functions]:
        graph.doc_string = ""
        del graph.metadata_props[:]
        for each in graph.node:
            each.doc_string = ""
            del each.metadata_props[:]
    values = (proto.graph.input, proto.graph.output, proto.graph.value_info)
    for each in [each for part in values for each in part]:
        each.doc_string = ""
        del each.metadata_props[:]
    for tensor in proto.graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    del proto.graph.value_info[:]
    onnx.checker.check_model(proto)
    return proto


@contextlib.contextmanager
def _quiet():
    """Silence the output and the warnings of torch.onnx."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category, message in IGNORED:
                warnings.filterwarnings("ignore", message, category)
            yield
    finally:
        logger.setLevel(level)
