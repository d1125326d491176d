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
_MOST_NODES = 100_000


class GltfError(VideoMotionError):
    """A file is no glTF, or one that names files elsewhere."""


def check_gltf(path: Path) -> None:
    """Check that all files that a .gltf or .glb file names lie in its folder, and that its nodes form trees.

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
        check_nodes(content)
        outside = [one for one in named if not (folder / one).resolve().is_relative_to(folder)]
    except (ValueError, RecursionError, AttributeError, TypeError, struct.error) as error:
        raise GltfError(f"{path} can't be read: it is no glTF or is damaged; export it again.") from error
    if outside:
        raise GltfError(f"{path} names a file in another folder ({outside[0][:80]}): export it as one file (.glb).")


def check_nodes(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the nodes, which must form trees, as otherwise the importer would not terminate.

    Raises:
        ValueError: they don't, or are none.
    """
    nodes = content.get("nodes")
    if not isinstance(nodes, list) or len(nodes) > _MOST_NODES or not all(isinstance(node, dict) for node in nodes):
        raise ValueError("no nodes")
    parents: set[int] = set()
    for node in nodes:
        children = node.get("children", [])
        name = node.get("name", "")
        if not isinstance(children, list) or not isinstance(name, str) or not _is_text(name):
            raise ValueError("no node")
        for child in children:
            if not isinstance(child, int) or isinstance(child, bool) or not 0 <= child < len(nodes) or child in parents:
                raise ValueError("no tree")
            parents.add(child)
    # With at most one parent each, nodes that no root leads to form a cycle.
    reached = [index for index in range(len(nodes)) if index not in parents]
    for index in reached:
        reached.extend(nodes[index].get("children", ()))
    if len(reached) != len(nodes):
        raise ValueError("a cycle")
    return nodes


def _is_text(name: str) -> bool:
    """Whether a name is valid text: JSON may hold unpaired surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _content(given: bytes) -> Any:
    if given[: len(_MAGIC)] != _MAGIC:
        return json.loads(given)
    (length,) = _TEXT.unpack_from(given)
    return json.loads(given[_TEXT.size : _TEXT.size + length])
