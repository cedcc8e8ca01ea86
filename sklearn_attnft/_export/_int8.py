# SPDX-License-Identifier: BSD-3-Clause
"""Convert a graph so that the encoder multiplies its weights in int8."""

import numpy as np
import onnx
import onnxruntime
from onnx.helper import make_node
from onnx.numpy_helper import from_array, to_array

# Activations have 8 bits and weights have 7 bits. Processors without VNNI add pairs of
# products in 16 bits. If the weights were larger, these sums could overflow without an
# error.
MAX_ACTIVATION, MAX_WEIGHT, ZERO = 127, 64, 128
CONSTANTS = {
    "int8_axis": np.array([-1], np.int64),
    "int8_smallest": np.array(1e-12, np.float32),
    "int8_one": np.array(1, np.float32),
    "int8_max": np.array(MAX_ACTIVATION, np.float32),
    "int8_zero": np.array(ZERO, np.uint8),
}


def to_int8(graph, batches):
    """Return a copy of a graph in which the encoder multiplies its weights in int8.

    Each column of a weight matrix has one scale. The activations of each token have one
    scale, which is computed in each prediction. Therefore, large activations of one
    token do not make other tokens less precise, and the prediction of a text does not
    depend on its batch. Before quantization, channels with large activations are
    divided by a factor, and the matching rows of the weights are multiplied by this
    factor (SmoothQuant, arXiv 2211.10438). Attention, poolings and heads stay in
    float32.

    Parameters
    ----------
    graph : onnx.ModelProto
    batches : iterable of dict
        Inputs of the graph. The factors are computed from the weights and from the
        largest activations on these inputs.
    """
    quantized = onnx.ModelProto()
    quantized.CopyFrom(graph)
    body = quantized.graph
    weights = {each.name: each for each in body.initializer}
    products = [node for node in body.node if _is_product(node, weights)]
    matrices = {node.input[1]: to_array(weights[node.input[1]]) for node in products}
    factors = _smooth(
        products, matrices, _largest_activations(graph, products, batches)
    )
    nodes, done, new = [], set(), dict(CONSTANTS)
    for node in body.node:
        if node not in products:
            nodes.append(node)
            continue
        x, weight = node.input
        if x not in done:  # products of query, key and value share `x`
            nodes.extend(_quantize_tokens(x))
            new[f"{x}_factor"] = 1 / factors[x]
            done.add(x)
        values, scales = _quantize_columns(matrices[weight] * factors[x][:, None])
        product = node.output[0]
        new |= {f"{product}_weight": values, f"{product}_columns": scales}
        nodes.extend(_product(x, product))
    del body.node[:]
    body.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [each for name, each in weights.items() if name in used]
    del body.initializer[:]
    body.initializer.extend(kept)
    body.initializer.extend(from_array(value, name) for name, value in new.items())
    return quantized


def _is_product(node, weights):
    """Return whether a node multiplies by a weight matrix of the encoder."""
    is_encoder = node.op_type == "MatMul" and node.name.startswith("encoder")
    return is_encoder and node.input[1] in weights


def _largest_activations(graph, products, batches):
    """Return the largest absolute value per channel, for each input of `products`."""
    names = list(dict.fromkeys(node.input[0] for node in products))
    copied = onnx.ModelProto()
    copied.CopyFrom(graph)
    float32 = onnx.TensorProto.FLOAT
    copied.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, float32, None) for name in names
    )
    session = onnxruntime.InferenceSession(copied.SerializeToString())
    largest = dict.fromkeys(names, 0)
    for inputs in batches:
        for name, x in zip(names, session.run(names, inputs), strict=True):
            channels = np.abs(x).reshape(-1, x.shape[-1]).max(axis=0)
            largest[name] = np.maximum(largest[name], channels)
    return largest


def _smooth(products, matrices, largest):
    """Return the SmoothQuant factors for each input of `products`, as a dict.

    The channels of the input are divided by these factors. The matching rows of the
    weights are multiplied by the factors.
    """
    rows = dict.fromkeys(largest, 0)
    for node in products:
        x, weight = node.input
        rows[x] = np.maximum(rows[x], np.abs(matrices[weight]).max(axis=1))
    return {
        x: np.sqrt(np.maximum(largest[x], 1e-5) / np.maximum(rows[x], 1e-5))
        for x in largest
    }


def _quantize_columns(weight):
    """Return a matrix quantized to int8, and one float32 scale for each column."""
    scales = np.maximum(np.abs(weight).max(axis=0) / MAX_WEIGHT, 1e-12)
    return np.rint(weight / scales).astype(np.int8), scales.astype(np.float32)


def _quantize_tokens(x):
    """Return the nodes that quantize `x` to uint8, with one scale per token."""
    parts = ("smooth", "abs", "max", "positive", "scale", "scaled")
    smooth, absolute, largest, positive, scale, scaled = [
        f"{x}_{each}" for each in parts
    ]
    return [
        make_node("Mul", [x, f"{x}_factor"], [smooth]),
        make_node("Abs", [smooth], [absolute]),
        make_node("ReduceMax", [absolute, "int8_axis"], [largest], keepdims=1),
        make_node("Max", [largest, "int8_smallest"], [positive]),
        make_node("Div", [positive, "int8_max"], [scale]),
        make_node("Div", [smooth, scale], [scaled]),
        make_node("QuantizeLinear", [scaled, "int8_one", "int8_zero"], [f"{x}_uint8"]),
    ]


def _product(x, output):
    """Return the nodes that multiply the quantized `x` by an int8 weight matrix."""
    inputs = [f"{x}_uint8", f"{output}_weight", "int8_zero"]
    product, as_float, rows = [
        f"{output}_{each}" for each in ("int32", "float", "rows")
    ]
    return [
        make_node("MatMulInteger", inputs, [product]),
        make_node("Cast", [product], [as_float], to=onnx.TensorProto.FLOAT),
        make_node("Mul", [as_float, f"{x}_scale"], [rows]),
        make_node("Mul", [rows, f"{output}_columns"], [output]),
    ]
