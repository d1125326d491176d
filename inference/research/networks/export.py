"""Export networks as ONNX files: one for what depends on a window, one for what depends on a single frame."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from ...atomic import atomic_write
from ...errors import VideoMotionError
from ...pose.features import VERSION
from ...runtime.session import Session
from .base import Network
from .encoders import ImageEncoder, as_crops, fold_normalisations
from .inputs import example
from .lifter import Lifter
from .tar import Tar
from .torch_body import sixd_to_matrix, to_local

OPSET = 18
# Below this many numbers a cast costs more than float16 saves.
_MIN_HALVED = 256


class ExportError(VideoMotionError):
    """A file is not that of a network; the message is one sentence for the user."""


class _Local(nn.Module):
    def __init__(self, network: Tar):
        super().__init__()
        self.network = network

    def forward(self, maps: Tensor) -> Tensor:
        return self.network.encode_local(maps)


class _Pictures(nn.Module):
    def __init__(self, network: Network, images: ImageEncoder):
        super().__init__()
        self.network, self.images = network, images

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        trunk = self.images.trunk(as_crops(pictures))
        vector = self.images.vector(trunk)
        if not (isinstance(self.network, Tar) and "maps" in self.network.needs):
            return (vector,)
        return vector, self.network.encode_local(self.images.maps(trunk))


class _Window(nn.Module):
    def __init__(self, network: Network, names: Iterable[str]):
        super().__init__()
        self.network, self.names = network, tuple(names)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        last = self.network(**dict(zip(self.names, inputs, strict=True))).estimates[-1]
        # Bounded as in `full_translation`, so that users of the file need not do it.
        camera = torch.cat([last.camera[:, :1].clamp(min=0.1), last.camera[:, 1:]], dim=1)
        return to_local(sixd_to_matrix(last.sixd)), last.betas, camera


class _Lifting(nn.Module):
    def __init__(self, network: Lifter):
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        output = self.network(frames)
        estimate, extra = output.estimates[0], output.extra
        camera = torch.cat([estimate.camera[:, :1].clamp(min=0.1), estimate.camera[:, 1:]], dim=1)
        parts = (
            to_local(sixd_to_matrix(estimate.sixd)),
            estimate.betas,
            camera,
            extra["sigma"],
            extra["gravity"],
            torch.sigmoid(extra["contacts"]),
        )
        count = self.network.settings.frames
        return extra["described"], *(part.unflatten(0, (-1, count)) for part in parts)


LIFTER_OUTPUTS = ("features", "rotations", "betas", "camera", "sigma", "gravity", "contacts")
"""As `pose.lifting.Lifted` describes them, for each frame of a window."""


def export(model: Network, folder: Path, name: str, half: bool = True) -> list[Path]:
    """Write a trained network as ONNX files with any batch size.

    `NAME.onnx`: its inputs, named as in `inputs` → local rotations (B, 24, 3, 3), the root's in crop axes,
    betas (B, 10) and camera (B, 3). A network with maps has a second file, `NAME.local.onnx`:
    maps (N, 40, 64, 64) uint8 → local (N, D, S, S), once per frame; the first then takes local (B, L, D, S, S).
    A network with an image encoder has `NAME.encoder.onnx` in its place: images (N, 256, 256, 3) BGR uint8 → vector
    (N, F), which are the first one's frames, and local if it uses maps. The lifter's file maps frames (B, T, F) to
    `LIFTER_OUTPUTS`.

    Args:
        model: the network.
        folder: for the files.
        name: of the files, and of the configuration in their metadata.
        half: store weights in float16; computation stays in float32.

    Returns:
        The files' paths.
    """
    network = _prepared(model, half)
    properties = {
        "network": type(model).__module__.rpartition(".")[2],
        "configuration": name,
        "settings": json.dumps(asdict(model.settings)),
        "features": str(VERSION),
        "weights": "float16" if half else "float32",
    }
    if network.licensed:
        properties["body"] = "licensed"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    inputs = example(network.needs, network.settings, 2, 0)
    if isinstance(network, Lifter):
        paths.append(folder / f"{name}.onnx")
        write_onnx(_Lifting(network), inputs, LIFTER_OUTPUTS, paths[-1], properties, half)
        return paths
    if network.images is not None:
        pictures = {"images": example(("pictures",), network.settings, 2, 0)["pictures"][:2]}
        outputs = ["vector", *(["local"] if "maps" in inputs else [])]
        paths.append(folder / f"{name}.encoder.onnx")
        write_onnx(_Pictures(network, network.images), pictures, outputs, paths[-1], properties, half)
    if isinstance(network, Tar) and "maps" in inputs:
        maps = inputs.pop("maps")
        if network.images is None:
            paths.append(folder / f"{name}.local.onnx")
            write_onnx(_Local(network), {"maps": maps.flatten(0, 1)}, ["local"], paths[-1], properties, half)
        inputs["local"] = _encoded(network, maps)
    paths.append(folder / f"{name}.onnx")
    write_onnx(_Window(network, inputs), inputs, ["rotations", "betas", "camera"], paths[-1], properties, half)
    return paths


def check_parity(model: Network, folder: Path, name: str, batches: Sequence[int] = (1, 2, 5)) -> float:
    """The largest difference between torch and ONNX Runtime over all outputs, for random inputs of some batch sizes.

    Torch uses the same weights as the files: rounded to float16 if those are.
    """
    path = folder / f"{name}.onnx"
    network = _prepared(model, Session(path, "cpu").properties["weights"] == "float16")
    worst = 0.0
    for seed, batch in enumerate(batches):
        inputs = example(network.needs, network.settings, batch, seed)
        if isinstance(network, Lifter):
            worst = max(worst, compare(_Lifting(network), path, inputs))
            continue
        if network.images is not None:
            pictures = {"images": example(("pictures",), network.settings, batch, seed)["pictures"][:batch]}
            worst = max(worst, compare(_Pictures(network, network.images), folder / f"{name}.encoder.onnx", pictures))
        if isinstance(network, Tar) and "maps" in inputs:
            maps = inputs.pop("maps")
            if network.images is None:
                of_maps = {"maps": maps.flatten(0, 1)}
                worst = max(worst, compare(_Local(network), folder / f"{name}.local.onnx", of_maps))
            inputs["local"] = _encoded(network, maps)
        worst = max(worst, compare(_Window(network, inputs), path, inputs))
    return worst


def read_weights(path: Path, model: Network) -> dict[str, Tensor]:
    """A network's parameters and buffers, as far as they are in a file that `export` wrote.

    Exporters rename parameters, transpose them, and compute in advance what depends on nothing else. The network itself
    is exported with random parameters, to see what became of each.

    Args:
        path: the ONNX file.
        model: a network of the same settings; stays as it is.

    Raises:
        ExportError: the file is of another network, or of other settings.
    """
    proto = onnx.load(path)
    properties = {item.key: item.value for item in proto.metadata_props}
    if json.loads(properties.get("settings", "null")) != json.loads(json.dumps(asdict(model.settings))):
        raise ExportError(f"{path} holds a network of another kind or of other sizes.")
    network, rng = _prepared(model, half=False), torch.Generator().manual_seed(0)
    for part in network.state_dict().values():
        part.copy_(0.5 + torch.rand(part.shape, generator=rng) if part.is_floating_point() else part)
    with TemporaryDirectory() as folder:
        export(network, Path(folder), "random", half=False)
        traced = _numbers(onnx.load(Path(folder) / "random.onnx"))
    stored, found = _numbers(proto), {}
    for name, part in network.state_dict().items():
        for looks, back in _FORMS:
            wanted = looks(part.numpy())
            places = [next((key for key, values in traced.items() if _same(values, one)), None) for one in wanted]
            if places and all(key in stored for key in places):
                found[name] = torch.from_numpy(back([stored[str(key)].astype(np.float32) for key in places]).copy())
                break
    return found


def _numbers(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {item.name.removesuffix(".half"): numpy_helper.to_array(item) for item in proto.graph.initializer}


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.allclose(one, other, atol=1e-6)


def _columns_of_softmax(values: np.ndarray) -> list[np.ndarray]:
    if values.ndim != 2:
        return []
    shares = np.exp(values - values.max(-1, keepdims=True))
    return np.split(shares / shares.sum(-1, keepdims=True), values.shape[-1], axis=-1)


# What an exporter makes of a parameter, and how it comes back.
_FORMS: Sequence[tuple[Callable[[np.ndarray], list[np.ndarray]], Callable[[list[np.ndarray]], np.ndarray]]] = (
    (lambda values: [values], lambda stored: stored[0]),
    (lambda values: [values.T], lambda stored: stored[0].T),
    (_columns_of_softmax, lambda stored: np.log(np.concatenate(stored, axis=-1))),
)


def rounding(model: Network, path: Path, inputs: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """Largest difference of an ONNX file from the exact network: of joint rotations in degrees, and of betas.

    Args:
        model: as trained, in float32.
        path: its file for windows.
        inputs: real inputs by name.
    """
    network = _prepared(model, half=False)
    exact = _Lifting(network) if isinstance(network, Lifter) else _Window(network, inputs)
    first = LIFTER_OUTPUTS.index("rotations") if isinstance(network, Lifter) else 0
    with torch.no_grad():
        exact_rotations, exact_betas = (
            part.numpy() for part in exact(*(torch.from_numpy(inputs[key]) for key in inputs))[first : first + 2]
        )
    rotations, betas = Session(path, "cpu")(**inputs)[first : first + 2]
    cosine = (np.einsum("...ab,...ab->...", rotations, exact_rotations) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).max()), float(np.abs(betas - exact_betas).max())


def compare(module: nn.Module, path: Path, inputs: Mapping[str, Tensor]) -> float:
    """The largest difference between a module's outputs and those of its ONNX file."""
    with torch.no_grad():
        expected = module.eval()(*inputs.values())
    actual = Session(path, "cpu")(**{key: value.numpy() for key, value in inputs.items()})
    pairs = zip([expected] if isinstance(expected, Tensor) else expected, actual, strict=True)
    return max(float(np.abs(one.numpy() - other).max()) for one, other in pairs)


def write_onnx(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    properties: Mapping[str, str],
    half: bool = False,
) -> None:
    """Write a module as an ONNX file with any batch size; the file appears only when it is complete.

    Args:
        module: is put into evaluation mode.
        inputs: examples by name, in the order of its arguments, of a batch larger than 1.
        outputs: names.
        path: of the file.
        properties: its metadata.
        half: store all numbers that float16 holds without loss in float16.
    """
    batch = torch.export.Dim("batch")
    shapes: Any = tuple({0: batch} for _ in inputs)
    if any(one.kind is one.VAR_POSITIONAL for one in signature(module.forward).parameters.values()):
        shapes = (shapes,)
    program = torch.onnx.export(
        module.eval(),
        args=tuple(inputs.values()),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=shapes,
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError(f"{path.name} could not be exported")
    proto = program.model_proto
    if half:
        _halve(proto)
    helper.set_model_props(proto, dict(properties))
    onnx.checker.check_model(proto)
    with atomic_write(path) as temporary:
        onnx.save(proto, temporary)


_Network = TypeVar("_Network", bound=Network)


def _prepared(model: _Network, half: bool) -> _Network:
    """The network as the files contain it: on the CPU, in evaluation mode, its weights rounded."""
    network = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    if network.images is not None:
        fold_normalisations(network.images)
    if half:
        for part in network.parameters():
            part.copy_(part.half().float())
    return network


def _halve(proto: onnx.ModelProto) -> None:
    casts = []
    for tensor in proto.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _MIN_HALVED:
            continue
        full = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            halved = full.astype(np.float16)
        if (halved == full).all():
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(halved, f"{name}.half"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def _encoded(network: Tar, maps: Tensor) -> Tensor:
    return network.encode_local(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
