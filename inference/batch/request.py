"""The request that `convert` sends to the program that runs in Blender. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..options import Options


@dataclass(frozen=True)
class Request:
    """A batch to convert.

    Attributes:
        videos: files, folders and patterns.
        out: folder of the results, None for each video's own.
        options: the user's choices.
        weights: folder of the weight files.
        python: the Python that runs the networks, None for that of the receiving program.
    """

    videos: Sequence[Path]
    out: Path | None
    options: Options
    weights: Path
    python: Path | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the request that `to_json` wrote."""
        content = json.loads(text)
        out, python = (None if content[name] is None else Path(content[name]) for name in ("out", "python"))
        return cls(
            [Path(video) for video in content["videos"]],
            out,
            Options.from_json(content["options"]),
            Path(content["weights"]),
            python,
        )

    def to_json(self) -> str:
        """Return the request as JSON."""
        return json.dumps(
            {
                "videos": [str(video) for video in self.videos],
                "out": None if self.out is None else str(self.out),
                "options": self.options.to_json(),
                "weights": str(self.weights),
                "python": None if self.python is None else str(self.python),
            }
        )
