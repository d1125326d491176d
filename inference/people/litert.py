"""A network in a TFLite file, run by `ai-edge-litert` on the CPU."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

# The C++ library does not use Python's `sys.stderr`.
STDERR = 2


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Remove the library's information lines from standard error; everything else it writes there is kept."""
    try:
        original = os.dup(STDERR)
    except OSError:
        # There is no standard error.
        yield
        return
    with os.fdopen(original, "wb", buffering=0) as stderr, tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(original, STDERR)
            written.seek(0)
            stderr.write(b"".join(line for line in written if not line.startswith(b"INFO:")))


class LiteRTNetwork:
    """One input and several outputs, identified by their shapes.

    Args:
        path: the TFLite file.
        threads: threads of the CPU to use.
        outputs: shapes of the wanted outputs.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file does not hold such a network.
    """

    def __init__(self, path: str | Path, threads: int, outputs: tuple[tuple[int, ...], ...]):
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"The weight file {path} does not exist.")
        try:
            with _without_chatter():
                self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"The file {path} is not a network that can be run: {error}") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        indices = {tuple(map(int, d["shape"])): d["index"] for d in self._interpreter.get_output_details()}
        missing = [shape for shape in outputs if shape not in indices]
        if missing:
            raise ValueError(f"The network in {path} has no output of shape {missing[0]}.")
        self._outputs = [indices[shape] for shape in outputs]

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Run the network on float32 pixels (H, W, 3); returns copies of the wanted outputs."""
        self._interpreter.set_tensor(self._input, pixels[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]
