"""The one place that makes sessions of ONNX Runtime and chooses where they run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from ..errors import VideoMotionError, reason
from .devices import COREML, CPU, CUDA, DIRECTML, has_cuda, why_not_cuda, why_not_provider

# Its own lines ("No registered plugin EP device…") say nothing to a user; errors are raised.
onnxruntime.set_default_logger_severity(4)

GPU_BATCH = 64
"""Images that a GPU sees at once."""

_OTHER_PROVIDERS: Mapping[str, str] = {"directml": DIRECTML, "coreml": COREML}
_ERRORS_ONLY = 3


class NetworkError(VideoMotionError):
    """A network can't run."""


class Session:
    """One network.

    Args:
        path: its ONNX file.
        device: `cpu`, `cuda` or `cuda:N` for a GPU, `directml` or `coreml` where this ONNX Runtime has them, or `auto`
            for the first NVIDIA GPU if that works and else the CPU.
        side_by_side: whether on the CPU several runs with one thread each share the cores, for networks that see one
            image at a time; otherwise one run uses all cores.

    Attributes:
        notice: why it runs on the CPU although this ONNX Runtime is built for the GPU; None if it doesn't.
        properties: metadata of the file.
        inputs: their names.
        outputs: their names.
        shapes: of both by name; what depends on the batch is a name.

    Raises:
        NetworkError: the file is missing or damaged, or the requested device is not available.
    """

    def __init__(self, path: Path, device: str = "auto", side_by_side: bool = False):
        self.notice: str | None = None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1 if side_by_side else os.cpu_count() or 1
        options.log_severity_level = _ERRORS_ONLY
        # Spinning threads would take CPU time from the other stages.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[Any] = [CPU]
        if device in _OTHER_PROVIDERS:
            provider = _OTHER_PROVIDERS[device]
            if why_not := why_not_provider(provider):
                raise NetworkError(why_not)
            providers.insert(0, provider)
            # DirectML asks for this.
            options.enable_mem_pattern = device != "directml"
        elif device != "cpu" and (device != "auto" or has_cuda()):
            number = int(device.partition(":")[2] or 0)
            if why_not := why_not_cuda(number):
                self._use_cpu(device, why_not)
            else:
                # TensorFloat-32 has 10 bits of mantissa, too few for coordinates. Trying all algorithms for each size
                # of batch takes longer than a clip.
                settings = {"device_id": number, "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}
                providers.insert(0, (CUDA, settings))
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # ONNX Runtime raises many kinds on damaged files
            if not path.exists():
                raise NetworkError(f"{path} does not exist.") from error
            raise NetworkError(f"{path} can't be run as a network; it may be damaged ({reason(error)}).") from error
        if len(providers) > 1 and self.device == "cpu":
            self._use_cpu(device, f"The GPU could not start for {path.name}: update its driver, or use the CPU.")
        self.properties: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.inputs = frozenset(item.name for item in self._session.get_inputs())
        self.outputs = tuple(item.name for item in self._session.get_outputs())
        self.shapes: Mapping[str, Sequence[int | str]] = {
            item.name: item.shape for item in (*self._session.get_inputs(), *self._session.get_outputs())
        }

    def _use_cpu(self, device: str, why_not: str) -> None:
        if device != "auto":
            raise NetworkError(why_not)
        self.notice = f"The network runs on the CPU. {why_not}"

    @property
    def device(self) -> str:
        """Where it runs: `cpu`, `cuda`, `directml` or `coreml`."""
        provider = self._session.get_providers()[0]
        return {CUDA: "cuda", DIRECTML: "directml", COREML: "coreml"}.get(provider, "cpu")

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """All outputs for named inputs."""
        given = {key: value for key, value in inputs.items() if key in self.inputs}
        return [np.asarray(output) for output in self._session.run(None, given)]

    def each(self, images: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
        """The outputs for each of some images: one by one and side by side on the CPU, in batches elsewhere.

        Args:
            images: (H, W, 3) BGR uint8 each, of the size that the network wants.

        Returns:
            For each image all outputs without their first axis, the batch.
        """
        if self.device == "cpu":
            if len(images) == 1:
                return [self._one(images[0])]
            return list(_pool().map(self._one, images))
        results: list[list[np.ndarray]] = []
        for start in range(0, len(images), GPU_BATCH):
            results += self._batch(images[start : start + GPU_BATCH])
        return results

    def _one(self, image: np.ndarray) -> list[np.ndarray]:
        return [output[0] for output in self(images=image[None])]

    def _batch(self, images: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
        # Few sizes of batches, because a GPU plans for each.
        padded = np.zeros((1 << (len(images) - 1).bit_length(), *images[0].shape), np.uint8)
        padded[: len(images)] = images
        batch = self(images=padded)
        return [[output[number] for output in batch] for number in range(len(images))]


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that run image networks, one for each core."""
    # OpenCV's own threads would only wait for cores beside them.
    cv2.setNumThreads(1)
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="network")
