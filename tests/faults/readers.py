"""Everything of this project that reads a file from outside: how a valid one is made, and what reads it as users do.

Runs in a process of its own (`reading.py`); imports are late, so that each process loads what it needs.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
SAMPLE = TESTS / "sample" / "sample.mp4"
DATA = TESTS / "data"


class RefusedError(Exception):
    """A reader that reports by a message, or by giving nothing, refused a file."""


@dataclass(frozen=True)
class Reader:
    """What reads a kind of file.

    Attributes:
        make: writes a valid one into an empty folder and returns its path.
        read: reads it, and raises what users would see as a sentence.
        inside: what else `mutations.mutate` knows of the file's inside.
        in_blender: whether it needs Blender's module.
        crashes: how many of 1,000 files may crash Blender's own code, which `convert` then tells in a sentence.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    inside: str = "bytes"
    in_blender: bool = False
    crashes: int = 0


@cache
def body() -> Any:
    """The default body."""
    from video_motion.inference import registry
    from video_motion.inference.body.smpl import Body

    return Body.load(registry.body_path())


def short_motion() -> Any:
    """A dozen frames of the sample's true motion."""
    from video_motion.inference.motion.motion import Motion

    motion = Motion.load(TESTS / "sample" / "sample.truth.npz")
    return motion.trimmed(np.arange(len(motion)) < 12)


def _make_motion(folder: Path) -> Path:
    path = folder / "walk.motion.npz"
    short_motion().save(path)
    return path


def _read_motion(path: Path) -> None:
    from video_motion.inference.motion.formats import read_motions

    for motion in read_motions(path, body()):
        assert np.isfinite(motion.joints_world).all()
        assert np.isfinite(motion.poses).all()


def _make_amass(folder: Path) -> Path:
    path, motion = folder / "walk.npz", short_motion()
    arrays = {"poses": motion.poses.reshape(len(motion), -1), "trans": motion.trans, "betas": motion.betas}
    np.savez(path, allow_pickle=False, **arrays, gender="neutral", mocap_framerate=30.0)
    return path


def _tool(name: str) -> Reader:
    def make(folder: Path) -> Path:
        from tests.inference.motion.formats.known import TOOLS, dancers

        tool = TOOLS[name]
        return tool.write(folder / "x", dancers(body(), tool.moving, hands=not tool.smplx))

    return Reader(make, _read_motion)


def _scene_of_motion(path: Path) -> None:
    """As *File > Import* and `batch.py --motion` make a scene."""
    from video_motion.addon.headless import scenes
    from video_motion.inference.motion.formats import read_motions
    from video_motion.inference.options import Options

    with scenes.quiet():
        scenes.build(read_motions(path, body()), body(), None, Options(mesh=False))


def _make_body(folder: Path) -> Path:
    from video_motion.inference import registry

    return Path(shutil.copy(registry.body_path(), folder / "body.npz"))


def _make_smpl(folder: Path) -> Path:
    """A pickle with the arrays of the default body in it."""
    import pickle

    path = folder / "SMPL_NEUTRAL.pkl"
    from video_motion.inference import registry

    with np.load(registry.body_path()) as archive:
        wanted = ("v_template", "shapedirs", "J_regressor", "weights", "kintree_table", "f")
        arrays = {name: archive[name] for name in wanted}
    arrays["posedirs"] = np.zeros((*arrays["v_template"].shape, 207), np.float16)
    path.write_bytes(pickle.dumps(arrays, protocol=2))
    return path


def _read_body(path: Path) -> None:
    from video_motion.inference.body.smpl import Body

    loaded = Body.load(path)
    assert loaded.joints(np.zeros((1, 24, 3)), np.zeros(10), np.zeros((1, 3))).shape == (1, 24, 3)


def _camera_arrays() -> dict[str, Any]:
    matrices = np.tile(np.eye(4), (20, 1, 1))
    matrices[:, :3, 3] = np.linspace(0, 1, 20)[:, None]
    return {
        "size": [640, 480],
        "K": [[600.0, 0, 320], [0, 600, 240], [0, 0, 1]],
        "camera_to_world": matrices.tolist(),
        "seconds": (np.arange(20) / 25).tolist(),
    }


def _make_camera_json(folder: Path) -> Path:
    path = folder / "camera.json"
    path.write_text(json.dumps(_camera_arrays()))
    return path


def _make_camera_npz(folder: Path) -> Path:
    path = folder / "camera.npz"
    np.savez(path, allow_pickle=False, **_camera_arrays())
    return path


def _read_camera(path: Path) -> None:
    from video_motion.inference.camera.given import GivenCamera

    camera, _ = GivenCamera.load(path).at((640, 480), np.arange(18), np.arange(18) / 25)
    assert np.isfinite(camera.rotations).all()
    assert np.isfinite(camera.positions).all()


def _make_weights(folder: Path) -> Path:
    """The smallest network, and the registry that lists it."""
    from video_motion.inference import registry
    from video_motion.inference.estimators import FOOTING

    item = registry.items()[FOOTING]
    shutil.copy(registry.REGISTRY_FILE, folder)
    return Path(shutil.copy(item.path, folder / item.file))


def _read_weights(path: Path) -> None:
    from video_motion.inference import registry
    from video_motion.inference.estimators import FOOTING
    from video_motion.inference.motion.footing import Footing

    kept, registry.REGISTRY_FILE = registry.REGISTRY_FILE, path.parent / "registry.json"
    listed = registry.items(kept)
    real, registry.items = registry.items, lambda: listed  # type: ignore[assignment]
    try:
        Footing.load(registry.path(FOOTING, fetch=False))
    finally:
        registry.REGISTRY_FILE, registry.items = kept, real


def _add_weights(path: Path) -> None:
    """As `weights --add` takes a file."""
    from video_motion.inference import registry

    registry.use_folder(path.parent / "cache")
    try:
        item = registry.add_local(path)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == item.sha256
    finally:
        registry.use_folder(None)


@cache
def _observations() -> dict[str, np.ndarray]:
    from video_motion.inference.conversion import find_people
    from video_motion.inference.models import load_models
    from video_motion.inference.options import Options
    from video_motion.inference.people.observations import shots_as_arrays

    options = Options(end=0.6, quality="fast", hands=False)
    return shots_as_arrays(find_people(SAMPLE, options, load_models(options)))


def _make_cached(folder: Path) -> Path:
    from video_motion.inference.cache import Cache

    assert Cache(folder).keep("people", _observations()) is None
    return next(folder.iterdir())


def _read_cached(path: Path) -> None:
    """What comes out of a cache is what went in, or nothing."""
    from video_motion.inference.cache import Cache
    from video_motion.inference.people.observations import shots_from_arrays

    found = Cache(path.parent).load("people")
    if found is None:
        raise RefusedError(f"{path} holds nothing.")
    for name, array in _observations().items():
        np.testing.assert_array_equal(found[name], array)
    shots_from_arrays(found)


def _make_options(folder: Path) -> Path:
    from video_motion.inference.options import Options, Who

    path = folder / "options.json"
    options = Options(
        start=1.0, person=(Who(2), Who(1, 3)), focal_mm=28.0, height=1.8, rig=Path("a.fbx"), shapes={1: [0.1] * 10}
    )
    path.write_text(json.dumps(options.to_json(defaults=True)))
    return path


def _read_options(path: Path) -> None:
    from video_motion.inference.options import Options

    content = _parsed(path)
    if not isinstance(content, dict):
        raise RefusedError(f"{path} is no table.")
    Options.from_json(content).to_json(defaults=True)


def _make_job(folder: Path) -> Path:
    path = folder / "job.json"
    job = {"task": "look", "weights": str(folder), "cache": str(folder), "out": str(folder), "video": str(_clip())}
    path.write_text(json.dumps(job | {"packages": [], "more": True, "reuse": False, "options": {"end": 0.2}}))
    return path


def _clip() -> Path:
    return DATA / "rotated.mp4"


def _read_job(path: Path) -> None:
    """A line on the worker's standard input."""
    from video_motion.inference.worker import serve, tasks

    lines = io.StringIO()
    line = path.read_bytes().replace(b"\n", b" ")
    tasks.serve(serve.read_job(line), lines)
    answers = [json.loads(one) for one in lines.getvalue().splitlines()]
    finals = [one for one in answers if one["event"] in ("result", "error")]
    assert len(finals) == 1, answers
    if finals[0]["event"] == "error":
        raise RefusedError(finals[0]["message"])


def _make_request(folder: Path) -> Path:
    from video_motion.inference.batch.request import Request
    from video_motion.inference.options import Options

    path = folder / "request.json"
    path.write_text(Request([Path("a.mp4")], folder, Options(end=1.0), folder).to_json())
    return path


def _read_request(path: Path) -> None:
    from video_motion.inference.batch.request import Request

    Request.from_json(path.read_text(encoding="utf-8", errors="replace"))


def _make_report(folder: Path) -> Path:
    from video_motion.inference.batch.inputs import VideoInput

    one = VideoInput(_clip(), folder / "clip")
    (folder / "clip.motion.npz").write_bytes(b"motion")
    report = {"motions": ["clip.motion.npz"], "people": [], "made": one.origin({"end": 1.0}, "code")}
    report["made"]["files"] = {"clip.motion.npz": 6}
    one.report.write_text(json.dumps(report))
    return one.report


def _read_report(path: Path) -> None:
    """As --resume does."""
    from video_motion.inference.batch.inputs import VideoInput

    one = VideoInput(_clip(), path.with_suffix(""))
    if not one.reuse_results({"end": 1.0}, "code"):
        raise RefusedError(f"{path} is not of a complete result.")


def _make_paces(folder: Path) -> Path:
    path = folder / "paces.json"
    paces = {"passes": ["people", "landmarks"], "people": 2.0, "landmarks": 10.0, "network": 0.2, "motion": 1.5}
    path.write_text(json.dumps({"best": paces}))
    return path


def _read_paces(path: Path) -> None:
    from video_motion.inference.worker import process

    pace = process._known_pace(path.parent, "best", "convert")
    if not pace:
        raise RefusedError(f"{path} knows no pace.")
    assert 0 < sum(pace.values()) < 1e12


def _make_video(name: str) -> Callable[[Path], Path]:
    return lambda folder: Path(shutil.copy(DATA / name, folder / name))


def _read_video(path: Path) -> None:
    """Through the footage station."""
    from video_motion.inference.footage.reader import Footage

    with Footage(path) as footage:
        times = [frame.timestamp for frame in footage]
    assert (np.diff(times) > 0).all()


def _make_images(folder: Path) -> Path:
    import cv2

    for number in (1, 2, 3):
        shown = np.random.default_rng(number).integers(0, 255, (40, 60, 3), np.uint8)
        (folder / f"{number:03}.png").write_bytes(cv2.imencode(".png", shown)[1].tobytes())
    return folder / "001.png"


def _read_images(path: Path) -> None:
    _read_video(path.parent)


def _make_bvh(folder: Path) -> Path:
    from tests.inference.research.training.mocap.test_bvh import TWO_JOINTS

    path = folder / "walk.bvh"
    path.write_text(TWO_JOINTS)
    return path


def _read_bvh(path: Path) -> None:
    from video_motion.inference.research.training.mocap.bvh_format import parse_bvh
    from video_motion.inference.research.training.mocap.files import read_texts

    for name, text in read_texts(path).items():
        assert np.isfinite(parse_bvh(text, name.name).frame_rate)


def _make_mapping(folder: Path) -> Path:
    from video_motion.addon.retarget.mapping import BoneMapping

    path = folder / "hero.bones.json"
    mapping = BoneMapping({"hips": ("Hips",), "head": ("Head",), "left_thigh": ("ThighL",)}, {"hips": 1.0}, "Mixamo")
    mapping.offsets, mapping.rest, mapping.switches = {"Head": (0.1, 0, 0)}, {"Head": (1, 0, 0, 0)}, {"Head": {"x": 1}}
    mapping.save(path)
    return path


def _read_mapping(path: Path) -> None:
    from video_motion.addon.retarget.bones import RetargetError
    from video_motion.addon.retarget.mapping import BoneMapping

    try:
        BoneMapping.load(path).dumps()
    except RetargetError as error:
        raise RefusedError(str(error)) from error


def _make_character(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        import bpy
        from video_motion.addon.headless import scenes
        from video_motion.inference.options import Options

        path, options = folder / name, Options(camera=False, floor=False)
        with scenes.quiet():
            (take,), _ = scenes.build([short_motion()], body(), None, options)
            armature, mesh = take.characters[0].armature, take.characters[0].mesh
            armature.animation_data_clear()
            # Small, so that changes meet more than vertices.
            mesh.shape_key_clear()
            mesh.modifiers.clear()
            if path.suffix == ".blend":
                bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True)
            else:
                for one in bpy.context.scene.objects:
                    one.select_set(one == armature)
                export = bpy.ops.export_scene
                if path.suffix == ".fbx":
                    export.fbx(filepath=str(path), use_selection=True, bake_anim=False)
                else:
                    glb = path.with_suffix(".glb")
                    export.gltf(filepath=str(glb), use_selection=True, export_animations=False)
                    if path.suffix == ".vrm":
                        path.write_bytes(_as_vrm(glb.read_bytes()))
                        glb.unlink()
        return path

    return make


def _as_vrm(glb: bytes) -> bytes:
    from tests.addon.interchange.test_vrm import HUMAN, packed

    size = int.from_bytes(glb[12:16], "little")
    content, rest = json.loads(glb[20 : 20 + size]), glb[20 + size :]
    number = {node.get("name"): index for index, node in enumerate(content["nodes"])}
    human = {bone: {"node": number[joint]} for joint, bone in HUMAN.items()}
    content["extensions"] = {"VRMC_vrm": {"specVersion": "1.0", "humanoid": {"humanBones": human}}}
    content["extensionsUsed"] = ["VRMC_vrm"]
    return packed(content, rest)


def _read_character(path: Path) -> None:
    """As --rig is checked."""
    from video_motion.addon.headless import rigs, scenes

    with scenes.quiet():
        rigs.check_rig(path)


def _make_network(folder: Path) -> Path:
    """The smallest one."""
    from video_motion.inference import registry

    smallest = min(
        (item for item in registry.items().values() if item.file.endswith(".onnx")), key=lambda one: one.size
    )
    return Path(shutil.copy(smallest.path, folder / "network.onnx"))


def _read_network(path: Path) -> None:
    """As one that is trusted, whatever it is."""
    from video_motion.inference.runtime.session import Session

    Session(path, "cpu")


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{path} is no JSON.") from error


READERS: dict[str, Reader] = {
    "motion": Reader(_make_motion, _read_motion, "npz"),
    "AMASS": Reader(_make_amass, _read_motion, "npz"),
    "VIBE": _tool("VIBE"),
    "4D-Humans": _tool("4D-Humans"),
    "GVHMR": _tool("GVHMR"),
    "PromptHMR": _tool("PromptHMR"),
    "BVH": Reader(_make_bvh, _read_bvh),
    "body": Reader(_make_body, _read_body),
    "SMPL body": Reader(_make_smpl, _read_body),
    "camera.json": Reader(_make_camera_json, _read_camera, "json"),
    "camera.npz": Reader(_make_camera_npz, _read_camera, "npz"),
    "weights": Reader(_make_weights, _read_weights),
    "added weights": Reader(_make_weights, _add_weights),
    "network": Reader(_make_network, _read_network),
    "cache": Reader(_make_cached, _read_cached, "npz"),
    "settings": Reader(_make_options, _read_options, "json"),
    "job": Reader(_make_job, _read_job, "json"),
    "request": Reader(_make_request, _read_request, "json"),
    "report": Reader(_make_report, _read_report, "json"),
    "paces": Reader(_make_paces, _read_paces, "json"),
    "video.mp4": Reader(_make_video("variable.mp4"), _read_video),
    "video.mkv": Reader(_make_video("grey.mkv"), _read_video),
    "video.avi": Reader(_make_video("reordered.avi"), _read_video),
    "video.mov": Reader(_make_video("alpha.mov"), _read_video),
    "images": Reader(_make_images, _read_images),
    "bone mapping": Reader(_make_mapping, _read_mapping, "json", in_blender=True),
    "motion in Blender": Reader(_make_motion, _scene_of_motion, "npz", in_blender=True),
    "character.blend": Reader(_make_character("hero.blend"), _read_character, in_blender=True, crashes=20),
    "character.fbx": Reader(_make_character("hero.fbx"), _read_character, in_blender=True),
    "character.glb": Reader(_make_character("hero.glb"), _read_character, "glb", in_blender=True),
    "character.vrm": Reader(_make_character("hero.vrm"), _read_character, "glb", in_blender=True),
}
