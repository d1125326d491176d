"""Converts Google's networks, and compares the results with LiteRT, which they are made for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter

from ... import registry
from ...atomic import atomic_write
from ...errors import VideoMotionError
from ...footage.reader import Footage
from ...runtime.session import Session
from .onnx_graph import Input, Output, Pixels, shared_tensors, translate
from .tflite import Graph, read

UNIT, SIGNED = Pixels(1 / 255), Pixels(2 / 255, -1.0)
SAMPLES = 4
"""Pictures of a clip on which results are compared."""

CLIP = registry.ROOT / "tests" / "data" / "real" / "man.mp4"
RECORD = registry.ROOT / "tests" / "data" / "litert.npz"
"""LiteRT's outputs, for the tests."""


class ConversionError(VideoMotionError):
    """A network can't be converted; the message is one sentence for the user."""


@dataclass(frozen=True)
class Network:
    """One of Google's files.

    Attributes:
        sha256: of the TFLite file.
        outputs: names; for each, which of the file's outputs it is, and its shape without the batch.
        pixels: how pictures become values; None for a network of points or features.
        part: id of the ONNX file of a part that is cut off, because it costs time and is seldom needed; empty for none.
            It goes on from features that the other file gives as outputs.
        part_output: the part's output.
    """

    sha256: str
    outputs: Mapping[str, tuple[int, tuple[int, ...]]]
    pixels: Pixels | None = UNIT
    part: str = ""
    part_output: str = ""


_POSE = {
    "landmarks": (0, (39, 5)),
    "score": (1, ()),
    "mask": (2, (256, 256)),
    "heatmaps": (3, (64, 64, 39)),
    "world_landmarks": (4, (39, 3)),
}

NETWORKS: Mapping[str, Network] = {
    "blazepose_detector": Network(
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        {"coordinates": (0, (2254, 12)), "logits": (1, (2254,))},
        SIGNED,
    ),
    "blazepose_landmark_full": Network(
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        _POSE,
        UNIT,
        "blazepose_outline_full",
        "mask",
    ),
    "blazepose_landmark_heavy": Network(
        "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
        _POSE,
        UNIT,
        "blazepose_outline_heavy",
        "mask",
    ),
    "palm_detector": Network(
        "2f25e740121983f68ffc05f99991d524dc0ea812134f6316a26125816941ee85",
        {"coordinates": (0, (2016, 18)), "logits": (1, (2016,))},
    ),
    "hand_landmark": Network(
        "8c026882c9ec059ce0f8e75266bee5a9a23c341a40e0000df755374d3d1b9b68",
        {"landmarks": (0, (21, 3)), "score": (1, ()), "right": (2, ()), "world_landmarks": (3, (21, 3))},
    ),
    "face_detector": Network(
        "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
        {"coordinates": (0, (896, 16)), "logits": (1, (896,))},
        SIGNED,
    ),
    "face_landmark": Network(
        "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5",
        {"landmarks": (0, (478, 3)), "score": (1, ())},
    ),
    "face_blendshapes": Network(
        "4f36dded049db18d76048567439b2a7f58f1daabc00d78bfe8f3ad396a2d2082", {"coefficients": (0, (52,))}, None
    ),
}
"""By their ids in the registry."""

SIZES = {
    "blazepose_detector": 224,
    "blazepose_landmark_full": 256,
    "blazepose_landmark_heavy": 256,
    "palm_detector": 192,
    "hand_landmark": 224,
    "face_detector": 128,
    "face_landmark": 256,
    "face_blendshapes": 146,
}
"""Sides of the pictures in pixels; points of the last."""


def convert(folder: Path) -> Iterator[str]:
    """Write the ONNX file of each network whose TFLite file is in a folder; yield the lines of a Markdown table.

    LiteRT's outputs are recorded for the tests.

    Raises:
        ConversionError: the folder holds none of the files.
    """
    files = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in sorted(folder.rglob("*.tflite"))}
    found = {name: files[network.sha256] for name, network in NETWORKS.items() if network.sha256 in files}
    if not found:
        raise ConversionError(f"{folder} holds none of Google's networks: weights/README.md says where they are from.")
    yield "| network | files | largest difference from LiteRT, by output |"
    yield "|---|---|---|"
    answers = dict(np.load(RECORD)) if RECORD.exists() else {}
    for name, file in found.items():
        item, network = registry.items()[name], NETWORKS[name]
        written = {}
        for item_id, model in _models(name, read(file), {"origin": item.origin}).items():
            data = model.SerializeToString(deterministic=True)
            with atomic_write(registry.items()[item_id].path) as part:
                part.write_bytes(data)
            written[item_id] = f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"
        if network.pixels is None:
            values = points(name)
        else:
            rgb = pictures(SIZES[name])[..., ::-1].astype(np.float32)
            values = rgb * np.float32(network.pixels.scale) + np.float32(network.pixels.offset)
        theirs, ours = run_litert(file, values, network), run_onnx(name)
        answers |= {f"{name}.{output}": thinned(array) for output, array in theirs.items()}
        differences = ", ".join(f"{output} {np.abs(ours[output] - theirs[output]).max():.1e}" for output in theirs)
        yield f"| {name} | {'; '.join(f'{item_id}: {text}' for item_id, text in written.items())} | {differences} |"
    with atomic_write(RECORD) as part, part.open("wb") as file_out:
        np.savez_compressed(file_out, **answers)


def _models(name: str, graph: Graph, properties: Mapping[str, str]) -> dict[str, onnx.ModelProto]:
    """The ONNX models of a file, by their ids in the registry."""
    network = NETWORKS[name]
    outputs = {output: Output(graph.outputs[number], shape) for output, (number, shape) in network.outputs.items()}
    features = {}
    models = {}
    if network.part:
        cut_off = outputs.pop(network.part_output)
        tensors = shared_tensors(graph, cut_off.tensor)
        features = {f"features_{number}": tensor for number, tensor in enumerate(tensors)}
        inputs = {feature: Input(tensor) for feature, tensor in features.items()}
        models[network.part] = translate(graph, inputs, {network.part_output: cut_off}, properties)
    outputs |= {feature: Output(tensor, None) for feature, tensor in features.items()}
    given = {"values" if network.pixels is None else "images": Input(graph.inputs[0], network.pixels)}
    return {name: translate(graph, given, outputs, properties), **models}


def run_litert(file: Path, values: np.ndarray, network: Network) -> dict[str, np.ndarray]:
    """The outputs of a TFLite file in LiteRT, by name.

    Args:
        file: the TFLite file.
        values: (n, ...) float32 input.
        network: names the outputs.
    """
    interpreter = Interpreter(model_path=str(file), num_threads=1)
    interpreter.allocate_tensors()
    (given,), wanted = interpreter.get_input_details(), interpreter.get_output_details()
    results: dict[str, list[np.ndarray]] = {output: [] for output in network.outputs}
    for value in values:
        interpreter.set_tensor(given["index"], value[None])
        interpreter.invoke()
        for output, (number, shape) in network.outputs.items():
            results[output].append(interpreter.get_tensor(wanted[number]["index"]).reshape(shape))
    return {output: np.stack(arrays) for output, arrays in results.items()}


def run_onnx(name: str) -> dict[str, np.ndarray]:
    """The outputs of a network of the registry on the same input as `record`'s."""
    session = Session(registry.items()[name].path, "cpu", side_by_side=True)
    if NETWORKS[name].pixels is None:
        return dict(zip(session.outputs, session(values=points(name)), strict=True))
    results = session.each(list(pictures(SIZES[name])))
    arrays = {
        output: np.stack(values) for output, values in zip(session.outputs, zip(*results, strict=True), strict=True)
    }
    if part := NETWORKS[name].part:
        features = {output: arrays.pop(output) for output in list(arrays) if output.startswith("features")}
        outline = Session(registry.items()[part].path, "cpu")
        arrays |= dict(zip(outline.outputs, outline(**features), strict=True))
    return arrays


def thinned(values: np.ndarray) -> np.ndarray:
    """(n, k) at most about a thousand of the values of each of n outputs."""
    flat = values.reshape(len(values), -1)
    return flat[:, :: max(1, flat.shape[1] // 1000)]


def recorded(name: str) -> dict[str, np.ndarray]:
    """LiteRT's recorded and thinned outputs of a network, by name."""
    with np.load(RECORD) as record:
        return {key.partition(".")[2]: record[key] for key in record.files if key.startswith(f"{name}.")}


def points(name: str) -> np.ndarray:
    """(4, 146, 2) float32: random input of a network of points."""
    return np.random.default_rng(0).uniform(0, 256, (SAMPLES, SIZES[name], 2)).astype(np.float32)


def pictures(size: int) -> np.ndarray:
    """(4, size, size, 3) BGR uint8: squares from frames of a clip of a real man."""
    with Footage(CLIP) as footage:
        images = [frame.image for frame in footage]
    frames = images[:: len(images) // SAMPLES][:SAMPLES]
    squares = []
    for image in frames:
        height, width = image.shape[:2]
        side, left = min(height, width), max(0, (width - height) // 2)
        squares.append(cv2.resize(image[:side, left : left + side], (size, size), interpolation=cv2.INTER_AREA))
    return np.stack(squares)
