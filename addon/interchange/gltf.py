"""Checks glTF files before Blender's importer reads them, which would read any other file that they name."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ...inference.errors import VideoMotionError

_MAGIC = b"glTF"
_TEXT = struct.Struct("<12xI4x")


class GltfError(VideoMotionError):
    """A file is no glTF, or one that names files elsewhere."""


def check_gltf(path: Path) -> None:
    """Check that all files that a .gltf or .glb file names lie in its folder.

    Raises:
        GltfError: they don't, or it is damaged.
        OSError: it can't be read.
    """
    folder = path.parent.resolve()
    try:
        content = _content(path.read_bytes())
        uris = [entry.get("uri") for kind in ("buffers", "images") for entry in content.get(kind, [])]
        named = [unquote(uri) for uri in uris if uri is not None and not uri.startswith("data:")]
        # Addresses of a network, too, become names of files for the importer.
        outside = [one for one in named if not (folder / one).resolve().is_relative_to(folder)]
    except (ValueError, RecursionError, AttributeError, TypeError, struct.error) as error:
        raise GltfError(f"{path} can't be read: it is no glTF or is damaged; export it again.") from error
    if outside:
        raise GltfError(f"{path} names a file in another folder ({outside[0][:80]}): export it as one file (.glb).")


def _content(given: bytes) -> Any:
    if given[: len(_MAGIC)] != _MAGIC:
        return json.loads(given)
    (length,) = _TEXT.unpack_from(given)
    return json.loads(given[_TEXT.size : _TEXT.size + length])
