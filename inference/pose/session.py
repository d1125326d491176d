"""ONNX Runtime: where the networks run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ..errors import VideoMotionError
from .devices import CPU, CUDA, has_cuda, why_not_cuda


class NetworkError(VideoMotionError):
    """A network can't run."""


class Session:
    """One network.

    Args:
        path: its ONNX file.
        device: `cpu`, `cuda` or `cuda:N` for a GPU, or `auto` for the first GPU if that works and else the CPU.

    Attributes:
        notice: why it runs on the CPU although this ONNX Runtime is built for the GPU; None if it doesn't.
        properties: metadata of the file.
        inputs: their names.

    Raises:
        NetworkError: the file is missing or damaged, or CUDA is requested and not available.
    """

    def __init__(self, path: Path, device: str = "auto"):
        self.notice: str | None = None
        providers: list[Any] = [CPU]
        if device != "cpu" and (device != "auto" or has_cuda()):
            number = int(device.partition(":")[2] or 0)
            if why_not := why_not_cuda(number):
                self._use_cpu(device, why_not)
            else:
                providers.insert(0, (CUDA, {"device_id": number}))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = os.cpu_count() or 1
        options.log_severity_level = 3
        # Spinning threads would take CPU time from the other stages.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # ONNX Runtime raises many kinds on damaged files
            if not path.exists():
                raise NetworkError(f"{path} does not exist.") from error
            raise NetworkError(f"{path} can't be run as a network; it may be damaged ({error}).") from error
        if len(providers) > 1 and self.device == "cpu":
            self._use_cpu(device, f"CUDA could not start for {path.name}: update the graphics driver, or use the CPU.")
        self.properties: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.inputs = frozenset(item.name for item in self._session.get_inputs())

    def _use_cpu(self, device: str, why_not: str) -> None:
        if device != "auto":
            raise NetworkError(why_not)
        self.notice = f"The network runs on the CPU. {why_not}"

    @property
    def device(self) -> str:
        """Where it runs: `cuda` or `cpu`."""
        return "cuda" if CUDA in self._session.get_providers() else "cpu"

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """All outputs for named inputs."""
        given = {key: value for key, value in inputs.items() if key in self.inputs}
        return [np.asarray(output) for output in self._session.run(None, given)]
