"""Reads the graph of a TFLite file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

_TYPES = {
    schema.TensorType.FLOAT32: np.dtype(np.float32),
    schema.TensorType.FLOAT16: np.dtype(np.float16),
    schema.TensorType.INT32: np.dtype(np.int32),
}
_OPERATORS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}


@dataclass(frozen=True)
class Operator:
    """One step of the graph.

    Attributes:
        kind: its name in TFLite's schema.
        inputs: numbers of tensors; -1 for an omitted one.
        outputs: numbers of tensors.
        options: the schema's options of this kind, None if it has none.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


@dataclass(frozen=True)
class Graph:
    """A network.

    Attributes:
        shapes: of each tensor, for a batch of one.
        constants: weights by the tensor's number; sparse ones are made dense.
        operators: in the order of execution.
        inputs, outputs: numbers of tensors.
    """

    shapes: tuple[tuple[int, ...], ...]
    constants: Mapping[int, np.ndarray]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read(path: Path) -> Graph:
    """Read a file's first graph.

    Raises:
        OSError: the file can't be read.
        ValueError: it has a type of weights that is not known here.
    """
    # The generated classes declare that everything may be missing.
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    graph = model.subgraphs[0]
    constants = {}
    for number, tensor in enumerate(graph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is None or not len(data):
            continue
        if tensor.type not in _TYPES:
            raise ValueError(f"{path} has weights of type {tensor.type}, which can't be converted.")
        values = np.frombuffer(bytes(data), _TYPES[tensor.type])
        shape = _shape(tensor)
        constants[number] = _dense(values, shape, tensor.sparsity) if tensor.sparsity else values.reshape(shape)
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return Graph(
        shapes=tuple(map(_shape, graph.tensors)),
        constants=constants,
        operators=tuple(
            Operator(_OPERATORS[codes[o.opcodeIndex]], _numbers(o.inputs), _numbers(o.outputs), o.builtinOptions)
            for o in graph.operators
        ),
        inputs=_numbers(graph.inputs),
        outputs=_numbers(graph.outputs),
    )


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else _numbers(tensor.shape)


def _numbers(values: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(int, values))


def _dense(values: np.ndarray, shape: tuple[int, ...], sparsity: Any) -> np.ndarray:
    """The dense tensor of TFLite's sparse format.

    The format lists the tensor's dimensions in traversal order, followed by those of the blocks that some of them are
    cut into. Each is dense (a size) or compressed (segments, and the indices that are there).
    """
    order = _numbers(sparsity.traversalOrder)
    blocks = () if sparsity.blockMap is None else _numbers(sparsity.blockMap)
    # One row per stored value so far, one column per dimension in traversal order.
    positions, entries = np.zeros((1, 0), int), np.zeros(1, int)
    for dimension in sparsity.dimMetadata:
        if dimension.format == schema.DimensionType.DENSE:
            size = dimension.denseSize
            parent = np.repeat(np.arange(len(entries)), size)
            index = np.tile(np.arange(size), len(entries))
            entries = entries[parent] * size + index
        else:
            segments = np.asarray(dimension.arraySegments.values, int)
            indices = np.asarray(dimension.arrayIndices.values, int)
            counts = segments[entries + 1] - segments[entries]
            parent = np.repeat(np.arange(len(entries)), counts)
            within = np.arange(len(parent)) - np.repeat(np.cumsum(counts) - counts, counts)
            entries = segments[entries[parent]] + within
            index = indices[entries]
        positions = np.concatenate([positions[parent], index[:, None]], axis=1)
    rank = len(shape)
    place = np.zeros((len(positions), rank), int)
    for column, axis in enumerate(order[:rank]):
        place[:, axis] = positions[:, column]
    for column, (number, axis) in enumerate(zip(order[rank:], blocks, strict=True), rank):
        size = sparsity.dimMetadata[column].denseSize
        place[:, axis] = place[:, axis] * size + positions[:, order.index(number)]
    dense = np.zeros(shape, values.dtype)
    dense[tuple(place.T)] = values[entries]
    return dense
