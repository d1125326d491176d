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
    damaged = GltfError(f"{path} can't be read: it is no glTF or is damaged; export it again.")
    try:
        content = _content(path.read_bytes())
        uris = [entry.get("uri") for kind in ("buffers", "images") for entry in content.get(kind, [])]
    except (ValueError, RecursionError, AttributeError, TypeError, struct.error) as error:
        raise damaged from error
    folder = path.parent.resolve()
    for uri in uris:
        if uri is None or (isinstance(uri, str) and uri.startswith("data:")):
            continue
        try:
            # Addresses of a network, too, become names of files for the importer.
            inside = (folder / unquote(uri)).resolve().is_relative_to(folder)
        except (ValueError, TypeError, OSError, AttributeError) as error:
            raise damaged from error
        if not inside:
            raise GltfError(f"{path} names a file in another folder ({uri[:80]}): export it again as one file (.glb).")


def _content(given: bytes) -> Any:
    if given[: len(_MAGIC)] != _MAGIC:
        return json.loads(given)
    (length,) = _TEXT.unpack_from(given)
    return json.loads(given[_TEXT.size : _TEXT.size + length])
