"""Hostile files run nothing, and nothing else is opened because they name it, as the system saw it.

Pickles and archives that unfold are tried by `tests/inference/test_pickles.py`, `tests/inference/body` and
`tests/inference/motion/formats/test_hostile.py`.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from .readers import short_motion
from .reading import ROOT
from .strace import needs_strace, traced

pytest.importorskip("onnxruntime")

SECRET = "secret"
PROGRAM = Path(__file__).with_name("reading.py")


def gltf(uri: str) -> Callable[[Path], Path]:
    """A triangle whose corners are in another file."""

    def make(folder: Path) -> Path:
        table = {
            "asset": {"version": "2.0"},
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
            "buffers": [{"uri": uri.format(outside=folder.parent), "byteLength": 36}],
            "bufferViews": [{"buffer": 0, "byteLength": 36}],
            "accessors": [
                {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0] * 3, "max": [1] * 3}
            ],
        }
        path = folder / "hero.gltf"
        path.write_text(json.dumps(table))
        return path

    return make


def vrm(folder: Path) -> Path:
    """A VRM whose buffer is another file."""
    table = json.loads(gltf(f"../{SECRET}")(folder).read_text())
    table["extensions"] = {"VRMC_vrm": {"specVersion": "1.0", "humanoid": {"humanBones": {"hips": {"node": 0}}}}}
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 4)
    path = folder / "hero.vrm"
    path.write_bytes(struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text)
    return path


def onnx(location: str) -> Callable[[Path], Path]:
    """A network whose numbers are in another file."""

    def make(folder: Path) -> Path:
        onnx = pytest.importorskip("onnx")
        weights = onnx.TensorProto(name="w", data_type=1, dims=[9], data_location=onnx.TensorProto.EXTERNAL)
        weights.external_data.add(key="location", value=location.format(outside=folder.parent))
        node = onnx.helper.make_node("Identity", ["w"], ["y"])
        graph = onnx.helper.make_graph([node], "g", [], [onnx.helper.make_tensor_value_info("y", 1, [9])], [weights])
        path = folder / "network.onnx"
        versions = {"opset_imports": [onnx.helper.make_opsetid("", 17)], "ir_version": 8}
        path.write_bytes(onnx.helper.make_model(graph, **versions).SerializeToString())
        return path

    return make


def motion(folder: Path) -> Path:
    """A motion that says it was made of another file."""
    made, path = short_motion(), folder / "walk.motion.npz"
    made.provenance |= {"video": str(folder.parent / SECRET), "file": f"../{SECRET}"}
    made.save(path)
    return path


NAMES_OTHERS: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "glTF": ("character.glb", gltf(f"../{SECRET}"), "sentence"),
    "glTF, absolute": ("character.glb", gltf(f"{{outside}}/{SECRET}"), "sentence"),
    "glTF, encoded": ("character.glb", gltf(f"%2e%2e/{SECRET}"), "sentence"),
    "glTF, by a link": ("character.glb", gltf("link"), "sentence"),
    "VRM": ("character.vrm", vrm, "sentence"),
    "ONNX": ("network", onnx(f"../{SECRET}"), "sentence"),
    "ONNX, absolute": ("network", onnx(f"{{outside}}/{SECRET}"), "sentence"),
    "ONNX, by a link": ("network", onnx("link"), "sentence"),
    "motion": ("motion in Blender", motion, "result"),
}
"""The reader of a file that names another one, what writes it, and what is to become of it."""


@needs_strace
@pytest.mark.parametrize("name", NAMES_OTHERS)
def test_no_other_file_is_opened(name: str, tmp_path: Path):
    reader, make, kind = NAMES_OTHERS[name]
    if reader != "network":
        pytest.importorskip("bpy")
    (tmp_path / SECRET).write_bytes(np.arange(9, dtype=np.float32).tobytes())
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / SECRET)
    path = make(folder)
    calls, said = traced([sys.executable, "-P", str(PROGRAM)], tmp_path / "trace", f"read\t{reader}\t{path}\n")
    assert json.loads(said)["kind"] == kind, said
    opened = [rest for call, rest in calls if call.startswith("open")]
    assert any(path.name in rest for rest in opened)
    assert not [rest for rest in opened if SECRET in rest or '/link"' in rest]


def test_a_gltf_may_name_what_lies_beside_it(tmp_path: Path):
    """As those of two files do; the one test above would pass if none were read."""
    pytest.importorskip("bpy")
    from video_motion.addon.interchange.gltf import GltfError, check_gltf

    for name in ("hero.bin", "textures/skin.png", "a%20b.bin", "./hero.bin", "data:,"):
        check_gltf(gltf(name)(tmp_path))
    with pytest.raises(GltfError, match="in another folder"):
        check_gltf(gltf("//server/share/hero.bin")(tmp_path))


BLEND = """
import contextlib, os, sys
from pathlib import Path
import bpy
from video_motion.addon.headless import rigs
folder = Path(sys.argv[1])
file, marks = folder / "hero.blend", [folder / name for name in ("driver", "text")]
touch = "__import__('pathlib').Path({!r}).touch()"
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.object.armature_add()
driver = bpy.context.object.driver_add("location", 0).driver
driver.type, driver.expression = "SCRIPTED", f"{touch.format(str(marks[0]))} or 1.0"
text = bpy.data.texts.new("run.py")
text.write(touch.format(str(marks[1])))
text.use_module = True
bpy.ops.wm.save_as_mainfile(filepath=str(file), copy=True)
with contextlib.suppress(rigs.RigError):
    rigs.check_rig(file)
assert bpy.data.objects
bpy.context.view_layer.update()
bpy.context.scene.frame_set(3)
assert not any(mark.exists() for mark in marks), "it was run"
# Or else this would prove nothing.
bpy.ops.wm.open_mainfile(filepath=str(file), use_scripts=True)
bpy.context.scene.frame_set(4)
assert all(mark.exists() for mark in marks)
# Blender as a module may crash while Python shuts down.
os._exit(0)
"""


def test_a_characters_scripts_and_drivers_are_not_run(tmp_path: Path):
    pytest.importorskip("bpy")
    command = [sys.executable, "-P", "-c", BLEND, str(tmp_path)]
    result = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("children", [[[1], [0]], [[0]], [[1], [], [1]], [[7]], [None]])
def test_a_gltf_whose_nodes_form_no_trees_is_refused(tmp_path: Path, children: list[object]):
    """Blender's importer would not end, and fill the memory."""
    pytest.importorskip("bpy")
    from video_motion.addon.interchange.gltf import GltfError, check_gltf

    path = tmp_path / "hero.gltf"
    path.write_text(json.dumps({"nodes": [{"children": one} for one in children]}))
    with pytest.raises(GltfError, match="damaged"):
        check_gltf(path)
    path.write_text(json.dumps({"nodes": [{"children": [1, 2]}, {}, {}]}))
    check_gltf(path)
