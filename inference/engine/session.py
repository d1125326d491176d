"""ONNX Runtime: where the networks run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class EngineError(Exception):
    """A network can't run; the message is one sentence for the user."""


class Session:
    """One network.

    Args:
        path: its ONNX file.
        device: `cuda`, `cpu`, or `auto` for the first of these that works.

    Raises:
        EngineError: the file is missing or damaged, or CUDA is asked for and can't be had.
    """

    def __init__(self, path: Path, device: str = "auto"):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = os.cpu_count() or 1
        options.log_severity_level = 3
        # Waiting threads that spin would take the processor from the other stages.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        wanted = [CPU] if device == "cpu" or CUDA not in onnxruntime.get_available_providers() else [CUDA, CPU]
        if device == "cuda" and CUDA not in wanted:
            raise EngineError("CUDA is not in this build of ONNX Runtime: install onnxruntime-gpu, or use the CPU.")
        if CUDA in wanted:
            # The libraries of a pip-installed CUDA are found only after this.
            onnxruntime.preload_dlls()
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=wanted)
        except Exception as error:  # ONNX Runtime raises many kinds on damaged files
            if not path.exists():
                raise EngineError(f"{path} does not exist.") from error
            raise EngineError(f"{path} can't be run as a network; it may be damaged ({error}).") from error
        if device == "cuda" and CUDA not in self._session.get_providers():
            raise EngineError(f"CUDA could not start for {path.name}: check the graphics driver, or use the CPU.")
        self.properties: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.inputs = frozenset(item.name for item in self._session.get_inputs())

    @property
    def device(self) -> str:
        """Where it runs: `cuda` or `cpu`."""
        return "cuda" if CUDA in self._session.get_providers() else "cpu"

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """All outputs for named inputs."""
        given = {key: value for key, value in inputs.items() if key in self.inputs}
        return [np.asarray(output) for output in self._session.run(None, given)]
