# SPDX-License-Identifier: BSD-3-Clause
"""Quantize the weights of the encoder in a graph to int8."""

import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

# The entry that onnxruntime writes after its own preprocessing. Without it, onnxruntime
# logs a warning, which would add a handler to the root logger.
PREPROCESSED = {"onnx.quant.pre_process": "onnxruntime.quant"}


def to_int8(graph, sensitive=()):
    """Return a graph that multiplies with int8 weights in the encoder.

    The weights have one scale per column. The scale of the activations is computed in
    each prediction. Attention, poolings and heads stay in float32.

    Parameters
    ----------
    graph : onnx.ModelProto
    sensitive : tuple of str
        Parts of the names of products that stay in float32.
    """
    weights = {each.name for each in graph.graph.initializer}
    products = [
        node.name
        for node in graph.graph.node
        if node.op_type == "MatMul" and node.input[1] in weights
        if node.name.startswith("encoder")
        if not any(part in node.name for part in sensitive)
    ]
    copied = onnx.ModelProto()
    copied.CopyFrom(graph)
    onnx.helper.set_model_props(copied, PREPROCESSED)
    with tempfile.TemporaryDirectory(prefix="sklearn_attnft-") as directory:
        path = Path(directory, "model.onnx")
        quantize_dynamic(
            copied,
            path,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=products,
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        quantized = onnx.load(path)
    del quantized.metadata_props[:]
    return quantized
