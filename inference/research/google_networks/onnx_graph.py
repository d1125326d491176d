"""Translates a TFLite graph into an ONNX model that takes a batch of pictures.

Convolutions of ONNX want channels first, TFLite keeps them last. A tensor stays in the layout in which it was
computed and is transposed where an operator needs the other one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

from .tflite import Graph, Operator

OPSET = 17
IR_VERSION = 8
BATCH = "n"
FIRST, LAST = "channels first", "channels last"
_TO_FIRST, _TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)

_ELEMENTWISE = {"ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div"}
_UNARY = {"RELU": "Relu", "LOGISTIC": "Sigmoid", "SQRT": "Sqrt", "NEG": "Neg"}


@dataclass(frozen=True)
class Pixels:
    """How a network wants its picture: `scale * value + offset` of uint8 values, red first."""

    scale: float
    offset: float = 0.0


@dataclass
class _Value:
    """A tensor: its name in each layout in which it is there."""

    names: dict[str, str]
    shape: tuple[int, ...]

    @property
    def layout(self) -> str:
        return next(iter(self.names))


@dataclass(frozen=True)
class Input:
    """An input of the model: a tensor of the graph, of its shape, channels first where it has channels.

    Attributes:
        tensor: its number in the graph.
        pixels: how its values come from a picture, (n, H, W, 3) BGR uint8; None for float32 values.
    """

    tensor: int
    pixels: Pixels | None = None


@dataclass(frozen=True)
class Output:
    """An output of the model: a tensor of the graph.

    Attributes:
        tensor: its number in the graph.
        shape: without the batch, channels last; None for the tensor's own, channels first.
    """

    tensor: int
    shape: tuple[int, ...] | None


def translate(
    graph: Graph, inputs: Mapping[str, Input], outputs: Mapping[str, Output], properties: Mapping[str, str]
) -> onnx.ModelProto:
    """Return the same network, or a part of it, for batches.

    Args:
        graph: of the TFLite file.
        inputs: by name.
        outputs: by name.
        properties: metadata of the file.

    Raises:
        ValueError: the graph holds an operator that can't be translated.
    """
    return _Translation(graph).model(inputs, outputs, properties)


class _Translation:
    def __init__(self, graph: Graph):
        self._graph = graph
        self._constants = dict(graph.constants)
        self._values: dict[int, _Value] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}
        self._count = 0

    def model(
        self, inputs: Mapping[str, Input], outputs: Mapping[str, Output], properties: Mapping[str, str]
    ) -> onnx.ModelProto:
        given = [self._input(name, wanted) for name, wanted in inputs.items()]
        for operator in self._graph.operators:
            known = all(n < 0 or n in self._values or n in self._constants for n in operator.inputs)
            if known and operator.outputs[0] not in self._values:
                self._translate(operator)
        results = [self._output(name, wanted) for name, wanted in outputs.items()]
        nodes = self._used_nodes(outputs)
        graph = helper.make_graph(nodes, "network", given, results, list(self._weights.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name = "Video Motion"
        helper.set_model_props(model, dict(properties))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _input(self, name: str, wanted: Input) -> onnx.ValueInfoProto:
        shape = self._graph.shapes[wanted.tensor]
        if wanted.pixels is not None:
            self._values[wanted.tensor] = self._picture(name, shape, wanted.pixels)
            return helper.make_tensor_value_info(name, TensorProto.UINT8, [BATCH, *shape[1:]])
        self._values[wanted.tensor] = _Value({FIRST: name}, shape)
        inner = _channels_first(shape)[1:]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *inner])

    def _output(self, name: str, wanted: Output) -> onnx.ValueInfoProto:
        value = self._values[wanted.tensor]
        layout = FIRST if wanted.shape is None else LAST
        shape = _channels_first(value.shape)[1:] if wanted.shape is None else wanted.shape
        self._node("Reshape", [self._in(value, layout), self._weight(np.array([-1, *shape], np.int64))], output=name)
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *shape])

    def _used_nodes(self, outputs: Mapping[str, object]) -> list[onnx.NodeProto]:
        """The nodes that the outputs depend on; forgets weights that none of them uses."""
        wanted, kept = set(outputs), []
        for node in reversed(self._nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                kept.append(node)
        self._weights = {name: weight for name, weight in self._weights.items() if name in wanted}
        return kept[::-1]

    def _picture(self, name: str, shape: tuple[int, ...], pixels: Pixels) -> _Value:
        first = self._node("Transpose", [self._node("Cast", [name], to=TensorProto.FLOAT)], perm=_TO_FIRST)
        red_first = self._node("Gather", [first, self._weight(np.array([2, 1, 0], np.int64))], axis=1)
        scaled = self._node("Mul", [red_first, self._weight(np.float32(pixels.scale))])
        if pixels.offset:
            scaled = self._node("Add", [scaled, self._weight(np.float32(pixels.offset))])
        return _Value({FIRST: scaled}, shape)

    def _node(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        self._count += 1
        output = output or f"{kind.lower()}_{self._count}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def _weight(self, values: np.ndarray | np.generic) -> str:
        """The name of a weight; half precision is stored as it is and widened when the model is loaded."""
        tensor = numpy_helper.from_array(np.asarray(values))
        known = next((n for n, t in self._weights.items() if t.raw_data == tensor.raw_data and _alike(t, tensor)), None)
        name = known or f"weight_{len(self._weights)}"
        if known is None:
            tensor.name = name
            self._weights[name] = tensor
        if np.asarray(values).dtype != np.float16:
            return name
        widened = f"{name}_float32"
        if not any(widened in node.output for node in self._nodes):
            self._node("Cast", [name], output=widened, to=TensorProto.FLOAT)
        return widened

    def _in(self, value: _Value, layout: str) -> str:
        """The name of a tensor in a layout, which only matters to pictures."""
        if len(value.shape) != 4:
            return next(iter(value.names.values()))
        if layout not in value.names:
            permutation = _TO_FIRST if layout == FIRST else _TO_LAST
            value.names[layout] = self._node("Transpose", [value.names[value.layout]], perm=permutation)
        return value.names[layout]

    def _operand(self, number: int, layout: str, rank: int) -> str:
        """An operand of an elementwise operator: a tensor, or a constant that is broadcast to `rank` dimensions."""
        if number in self._values:
            return self._in(self._values[number], layout)
        constant = self._constants[number]
        if layout == FIRST and rank == 4:
            constant = constant.reshape((1,) * (4 - constant.ndim) + constant.shape).transpose(_TO_FIRST)
        return self._weight(constant)

    def _for_each(self, constant: int, layout: str, batch: str) -> str:
        """A constant with a batch of one, repeated for each element of another tensor's batch."""
        shape = np.array(self._constants[constant].shape)
        inner = shape[list(_TO_FIRST)][1:] if layout == FIRST and len(shape) == 4 else shape[1:]
        count = self._node("Shape", [batch], start=0, end=1)
        target = self._node("Concat", [count, self._weight(inner.astype(np.int64))], axis=0)
        return self._node("Expand", [self._operand(constant, layout, len(shape)), target])

    def _translate(self, operator: Operator) -> None:
        kind, inputs, shape = operator.kind, operator.inputs, self._graph.shapes[operator.outputs[0]]
        if kind in ("DEQUANTIZE", "DENSIFY") and inputs[0] in self._constants:
            self._constants[operator.outputs[0]] = self._constants[inputs[0]]
            return
        layout = next((self._values[i].layout for i in inputs if i in self._values), LAST)
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            layout, name = FIRST, self._convolution(operator)
        elif kind == "MAX_POOL_2D":
            layout, name = FIRST, self._pooling(operator)
        elif kind == "RESIZE_BILINEAR":
            layout, name = FIRST, self._resize(operator)
        elif kind in _ELEMENTWISE:
            operands = [self._operand(number, layout, len(shape)) for number in inputs]
            name = self._node(_ELEMENTWISE[kind], operands)
            if layout == FIRST and operator.options.fusedActivationFunction == schema.ActivationFunctionType.RELU6:
                # ONNX Runtime keeps its fast layout through a convolution with a limit, and not through a limit alone.
                name = self._conv(name, np.ones((shape[3], 1, 1, 1), np.float16), [], group=shape[3])
            name = self._activated(name, operator.options)
        elif kind in _UNARY:
            name = self._node(_UNARY[kind], [self._in(self._values[inputs[0]], layout)])
        elif kind == "RSQRT":
            name = self._node("Reciprocal", [self._node("Sqrt", [self._in(self._values[inputs[0]], layout)])])
        elif kind == "SQUARED_DIFFERENCE":
            difference = self._node("Sub", [self._operand(number, layout, len(shape)) for number in inputs])
            name = self._node("Mul", [difference, difference])
        elif kind == "PRELU":
            layout, name = FIRST, self._leaking(operator)
        elif kind == "PAD":
            name = self._padding(operator, layout)
        elif kind == "CONCATENATION":
            axis = _axis(operator.options.axis % len(shape), layout, len(shape))
            batch = next(self._in(self._values[i], layout) for i in inputs if i in self._values)
            parts = [
                self._operand(i, layout, len(shape)) if i in self._values else self._for_each(i, layout, batch)
                for i in inputs
            ]
            name = self._node("Concat", parts, axis=axis)
        elif kind in ("MEAN", "SUM"):
            layout, name = LAST, self._reduction(operator)
        elif kind == "FULLY_CONNECTED":
            layout, name = LAST, self._fully_connected(operator)
        elif kind == "RESHAPE":
            layout, name = LAST, self._reshape(self._in(self._values[inputs[0]], LAST), shape)
        elif kind == "TRANSPOSE":
            order = self._constants[inputs[1]].tolist()
            layout, name = LAST, self._node("Transpose", [self._in(self._values[inputs[0]], LAST)], perm=order)
        elif kind == "STRIDED_SLICE":
            layout, name = LAST, self._slice(operator)
        elif kind == "DEPTH_TO_SPACE":
            layout = FIRST
            source = self._in(self._values[inputs[0]], FIRST)
            name = self._node("DepthToSpace", [source], blocksize=operator.options.blockSize, mode="DCR")
        else:
            raise ValueError(f"The operator {kind} can't be translated.")
        self._values[operator.outputs[0]] = _Value({layout: name}, shape)

    def _reshape(self, source: str, shape: tuple[int, ...]) -> str:
        # A zero keeps the batch's size; some graphs drop it from the last shapes.
        inner = shape[1:] if shape[0] == 1 else shape
        return self._node("Reshape", [source, self._weight(np.array([0, *inner], np.int64))])

    def _activated(self, name: str, options: Any) -> str:
        function = options.fusedActivationFunction
        if function == schema.ActivationFunctionType.NONE:
            return name
        if function == schema.ActivationFunctionType.RELU:
            return self._node("Relu", [name])
        if function == schema.ActivationFunctionType.RELU6:
            return self._node("Clip", [name, self._weight(np.float32(0)), self._weight(np.float32(6))])
        raise ValueError(f"The activation function {function} can't be translated.")

    def _same_pads(
        self, source: Sequence[int], target: Sequence[int], kernel: Sequence[int], options: Any
    ) -> list[int]:
        """ONNX's padding (top, left, bottom, right) for one of TFLite's modes."""
        if options.padding == schema.Padding.VALID:
            return [0, 0, 0, 0]
        dilations = (getattr(options, "dilationHFactor", 1), getattr(options, "dilationWFactor", 1))
        totals = [
            max((target[i] - 1) * stride + (kernel[i] - 1) * dilations[i] + 1 - source[i], 0)
            for i, stride in enumerate((options.strideH, options.strideW))
        ]
        return [totals[0] // 2, totals[1] // 2, totals[0] - totals[0] // 2, totals[1] - totals[1] // 2]

    def _convolution(self, operator: Operator) -> str:
        options = operator.options
        source, target = self._values[operator.inputs[0]], self._graph.shapes[operator.outputs[0]]
        kernel = self._constants[operator.inputs[1]]
        bias = [self._constants[number] for number in operator.inputs[2:3] if number >= 0]
        depthwise = operator.kind == "DEPTHWISE_CONV_2D"
        channels_first = kernel.transpose(3, 0, 1, 2) if depthwise else kernel.transpose(0, 3, 1, 2)
        attributes = {
            "strides": [options.strideH, options.strideW],
            "dilations": [options.dilationHFactor, options.dilationWFactor],
            "pads": self._same_pads(source.shape[1:3], target[1:3], channels_first.shape[2:], options),
        }
        given = self._in(source, FIRST)
        if len(channels_first) == 1 and channels_first[0, 0].size > 1 and not depthwise:
            # ONNX Runtime pads the one output channel to eight, so each channel is filtered by itself and then summed.
            channels_first = channels_first.transpose(1, 0, 2, 3)
            filtered = self._conv(given, channels_first, [], group=len(channels_first), **attributes)
            ones = np.ones((1, len(channels_first), 1, 1), kernel.dtype)
            return self._activated(self._conv(filtered, ones, bias), options)
        group = source.shape[3] if depthwise else 1
        return self._activated(self._conv(given, channels_first, bias, group=group, **attributes), options)

    def _conv(self, given: str, kernel: np.ndarray, bias: Sequence[np.ndarray], **attributes: Any) -> str:
        weights = [self._weight(values) for values in (np.ascontiguousarray(kernel), *bias)]
        return self._node("Conv", [given, *weights], kernel_shape=kernel.shape[2:], **attributes)

    def _leaking(self, operator: Operator) -> str:
        """A limit at zero that lets through a part of what is below, another one in each channel."""
        source = self._in(self._values[operator.inputs[0]], FIRST)
        slopes = self._constants[operator.inputs[1]].reshape(-1, 1, 1, 1)
        # ONNX Runtime leaves its fast layout for a `PRelu`, which takes longer than the convolutions.
        above = 1 - slopes.astype(np.float32)
        parts = [
            self._conv(given, kernel, [], group=len(kernel))
            for given, kernel in ((source, slopes), (self._node("Relu", [source]), above))
        ]
        return self._node("Add", parts)

    def _pooling(self, operator: Operator) -> str:
        options = operator.options
        source, target = self._values[operator.inputs[0]], self._graph.shapes[operator.outputs[0]]
        kernel = (options.filterHeight, options.filterWidth)
        name = self._node(
            "MaxPool",
            [self._in(source, FIRST)],
            kernel_shape=kernel,
            strides=[options.strideH, options.strideW],
            pads=self._same_pads(source.shape[1:3], target[1:3], kernel, options),
        )
        return self._activated(name, options)

    def _resize(self, operator: Operator) -> str:
        source, target = self._values[operator.inputs[0]], self._graph.shapes[operator.outputs[0]]
        mode = "half_pixel" if operator.options.halfPixelCenters else "asymmetric"
        mode = "align_corners" if operator.options.alignCorners else mode
        scales = np.array([1, 1, target[1] / source.shape[1], target[2] / source.shape[2]], np.float32)
        operands = [self._in(source, FIRST), "", self._weight(scales)]
        return self._node("Resize", operands, mode="linear", coordinate_transformation_mode=mode)

    def _padding(self, operator: Operator, layout: str) -> str:
        source = self._values[operator.inputs[0]]
        amounts = self._constants[operator.inputs[1]]
        if layout == FIRST and len(source.shape) == 4:
            amounts = amounts[list(_TO_FIRST)]
        pads = np.concatenate([amounts[:, 0], amounts[:, 1]]).astype(np.int64)
        return self._node("Pad", [self._in(source, layout), self._weight(pads)])

    def _reduction(self, operator: Operator) -> str:
        source = self._in(self._values[operator.inputs[0]], LAST)
        axes = np.atleast_1d(self._constants[operator.inputs[1]]).astype(np.int64)
        keep = int(operator.options.keepDims)
        if operator.kind == "MEAN":
            return self._node("ReduceMean", [source], axes=axes.tolist(), keepdims=keep)
        return self._node("ReduceSum", [source, self._weight(axes)], keepdims=keep)

    def _fully_connected(self, operator: Operator) -> str:
        matrix = self._constants[operator.inputs[1]]
        source = self._reshape(self._in(self._values[operator.inputs[0]], LAST), (1, matrix.shape[1]))
        operands = [source, self._weight(matrix)]
        if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
            operands.append(self._weight(self._constants[operator.inputs[2]]))
        return self._activated(self._node("Gemm", operands, transB=1), operator.options)

    def _slice(self, operator: Operator) -> str:
        source, options = self._values[operator.inputs[0]], operator.options
        start, end, step = (self._constants[number].astype(np.int64) for number in operator.inputs[1:4])
        bits = 1 << np.arange(len(start))
        start = np.where(options.beginMask & bits, 0, start)
        end = np.where(options.endMask & bits, np.iinfo(np.int32).max, end)
        # The batch is never cut.
        start[0], end[0] = 0, np.iinfo(np.int32).max
        axes = np.arange(len(start), dtype=np.int64)
        operands = [self._in(source, LAST), *map(self._weight, (start, end, axes, step))]
        return self._reshape(self._node("Slice", operands), self._graph.shapes[operator.outputs[0]])


def shared_tensors(graph: Graph, output: int) -> list[int]:
    """The tensors from which an output follows by operators that no other output needs."""
    needed = _needed(graph, [other for other in graph.outputs if other != output])
    own = [
        operator
        for operator in graph.operators
        if operator.outputs[0] in _needed(graph, [output]) and operator.outputs[0] not in needed
    ]
    weights = _weights_of(graph)
    shared = {number for operator in own for number in operator.inputs if number in needed and number not in weights}
    return sorted(shared)


def _needed(graph: Graph, outputs: Sequence[int]) -> set[int]:
    needed = set(outputs)
    for operator in reversed(graph.operators):
        if operator.outputs[0] in needed:
            needed.update(operator.inputs)
    return needed


def _weights_of(graph: Graph) -> set[int]:
    """Constants and what is widened or made dense from them."""
    weights = set(graph.constants)
    for operator in graph.operators:
        if operator.kind in ("DEQUANTIZE", "DENSIFY") and operator.inputs[0] in weights:
            weights.add(operator.outputs[0])
    return weights


def _channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in _TO_FIRST) if len(shape) == 4 else shape


def _alike(one: onnx.TensorProto, other: onnx.TensorProto) -> bool:
    return one.data_type == other.data_type and list(one.dims) == list(other.dims)


def _axis(axis: int, layout: str, rank: int) -> int:
    """The axis in another layout of what is the given axis with channels last."""
    return _TO_FIRST.index(axis) if layout == FIRST and rank == 4 else axis
