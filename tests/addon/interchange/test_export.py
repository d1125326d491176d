"""Characters written by the exporter and read again: by Blender's importers, and by a reader of BVH of our own."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from video_motion.addon.compatibility import channels_of
from video_motion.addon.interchange import export
from video_motion.addon.interchange.export import exporters
from video_motion.addon.research.export_accuracy import IMPORTERS, joints_of, read_again
from video_motion.addon.scene.armature import BONE_NAMES
from video_motion.addon.scene.keyframes import OURS
from video_motion.addon.scene.take import SceneOptions, build_scene, set_frame_rate
from video_motion.inference.body import rotations
from video_motion.inference.body.skeleton import JOINT_NAMES, PARENTS, SMPLH_JOINT_NAMES
from video_motion.inference.motion.formats import read_motion
from video_motion.inference.motion.formats.conventions import SMPL_PELVIS

pytestmark = pytest.mark.interface

MILLIMETRES = 1000.0
CLOSE = 0.01
KINDS = ("objects", "armatures", "meshes", "actions", "scenes", "shape_keys", "materials", "images", "collections")


@pytest.fixture
def take(make_motion, body):
    """Two people at even times, of 14 frames at 25 a second."""
    motions = [make_motion(count=14, frame_rate=25.0, seed=person, person=person) for person in (1, 2)]
    for motion in motions:
        motion.fingers = fingers_of(motion.person)
    return build_scene(motions, body, options=SceneOptions(frame_rate=25.0))


def fingers_of(person: int) -> np.ndarray:
    """(14, 30, 3) rotations of a person's fingers."""
    return np.cumsum(np.random.default_rng(person).normal(scale=0.1, size=(14, 30, 3)), axis=0)


def armatures_of(take) -> list[bpy.types.Object]:
    return [character.armature for character in take.characters]


def furthest(read: np.ndarray, truth: np.ndarray) -> float:
    """Millimetres between joints."""
    assert read.shape == truth.shape
    return MILLIMETRES * float(np.linalg.norm(read - truth, axis=-1).max())


def names() -> dict[str, list[str]]:
    return {kind: sorted(block.name for block in getattr(bpy.data, kind)) for kind in KINDS}


# Only FBX has axes to choose.
@pytest.mark.parametrize(
    ("reader", "engine"),
    [
        (reader, engine)
        for reader in IMPORTERS
        for engine in export.ENGINES
        if reader.startswith("fbx") or engine == export.ENGINES[0]
    ],
)
def test_joints_are_where_they_were(take, tmp_path, reader, engine):
    format = reader.split()[0]
    if format == "usd" and not bpy.app.build_options.usd:
        pytest.skip("This Blender was built without USD.")
    truth = joints_of(armatures_of(take), range(1, 15), BONE_NAMES)
    path = tmp_path / f"a täke{export.ENDINGS[format]}"
    files = export.export_take(armatures_of(take), path, format, export.ExportOptions(engine=engine))
    expected = [path.name] if format != "bvh" else ["a täke.bvh", "a täke.person-2.bvh"]
    assert [file.name for file in files] == expected
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(expected)
    assert furthest(read_again(reader, files, 14, 25.0, BONE_NAMES), truth) < CLOSE


@pytest.mark.parametrize("format", ["glb", "bvh"])
def test_uneven_times_are_sampled_at_the_scenes_rate(make_motion, body, tmp_path, format):
    take = build_scene([make_motion(count=9)], body, options=SceneOptions(frame_rate=30000 / 1001))
    scene = bpy.context.scene
    count = scene.frame_end
    truth = joints_of(armatures_of(take), range(1, count + 1))
    files = export.export_take(armatures_of(take), tmp_path / f"x{export.ENDINGS[format]}", format)
    assert furthest(read_again(format, files, count, 30000 / 1001), truth) < CLOSE


def test_nothing_of_the_users_changes(take, tmp_path):
    armature, other = armatures_of(take)
    scene = bpy.context.scene
    scene.frame_set(5)
    bpy.context.view_layer.objects.active = armature
    armature.select_set(True)
    bpy.ops.object.mode_set(mode="POSE")
    before = names(), list(bpy.context.selected_objects), armature.mode, scene.frame_current
    ranges = scene.frame_start, scene.frame_end, scene.render.fps
    for format in ("fbx", "glb", "bvh", "usd") if bpy.app.build_options.usd else ("fbx", "glb", "bvh"):
        export.export_take([armature], tmp_path / f"x{export.ENDINGS[format]}", format)
    assert (names(), list(bpy.context.selected_objects), armature.mode, scene.frame_current) == before
    assert (scene.frame_start, scene.frame_end, scene.render.fps) == ranges
    assert bpy.context.view_layer.objects.active == armature
    assert other.name in scene.objects


def test_only_the_takes_objects_are_written(take, tmp_path):
    cube = bpy.data.objects.new("cube", bpy.data.meshes.new("cube"))
    bpy.context.scene.collection.objects.link(cube)
    cube.select_set(True)
    path = tmp_path / "x.glb"
    export.export_take(armatures_of(take)[1:], path, "glb")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(path))
    # The importer adds shapes for bones.
    found = {one.name for one in bpy.context.scene.objects if not one.name.startswith("Icosphere")}
    assert found == {"walk person 2", "walk person 2 body"}
    (animation,) = bpy.data.actions
    assert "walk person 2" in animation.name or "x" in animation.name


def test_skin_follows(take, tmp_path):
    person = take.characters[0]
    moments = (2, 9)

    def skin(mesh, frame):
        bpy.context.scene.frame_set(frame)
        posed = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
        return np.array([posed.matrix_world @ vertex.co for vertex in posed.data.vertices])

    truth = [skin(person.mesh, frame) for frame in moments]
    path = tmp_path / "x.fbx"
    export.export_take([person.armature], path, "fbx")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    set_frame_rate(bpy.context.scene, 25.0)
    bpy.ops.import_scene.fbx(filepath=str(path))
    (mesh,) = (one for one in bpy.context.scene.objects if one.type == "MESH")
    assert mesh.data.shape_keys is None
    for frame, expected in zip(moments, truth, strict=True):
        # Files hold fewer digits of weights than Blender.
        assert furthest(skin(mesh, frame), expected) < 0.05


@pytest.mark.parametrize("engine", export.ENGINES)
def test_fbx_follows_the_engines_conventions(take, tmp_path, engine):
    path = tmp_path / "x.fbx"
    export.export_take(armatures_of(take)[:1], path, "fbx", export.ExportOptions(engine=engine))
    settings, nodes = read_fbx(path)
    up, front = {"unreal": ((2, 1), (1, -1)), "unity": ((1, 1), (2, 1))}[engine]
    assert (settings["UpAxis"], settings["UpAxisSign"]) == up
    assert (settings["FrontAxis"], settings["FrontAxisSign"]) == front
    # 1 unit is a centimetre and 1 m is 100 of them.
    assert settings["UnitScaleFactor"] == 1.0
    armature, pelvis = nodes["walk person 1"], nodes["pelvis"]
    assert armature.get("Lcl Scaling", (1.0,) * 3) == pytest.approx((1.0,) * 3)
    assert armature.get("Lcl Rotation", (0.0,) * 3) == pytest.approx((0.0,) * 3, abs=1e-5)
    assert armature.get("Lcl Translation", (0.0,) * 3) == pytest.approx((0.0,) * 3, abs=1e-5)
    assert pelvis.get("Lcl Scaling", (1.0,) * 3) == pytest.approx((1.0,) * 3, abs=1e-5)
    assert nodes["walk person 1 body"].get("Lcl Scaling", (1.0,) * 3) == pytest.approx((1.0,) * 3)
    assert not [name for name in nodes if name.endswith("_end")]


def test_bvh_is_clean(take, tmp_path, body):
    armature = armatures_of(take)[0]
    truth = joints_of([armature], range(1, 15))[:, 0]
    rest = np.array([armature.data.bones[name].head_local for name in JOINT_NAMES])
    path = tmp_path / "x.bvh"
    export.export_take([armature], path, "bvh")
    bones, frames, seconds = read_bvh(path)
    assert seconds == pytest.approx(1 / 25, abs=1e-5)
    assert set(JOINT_NAMES) < set(bones)
    # The T-pose, y up, facing z, in centimetres, as offsets; the root at the origin.
    turn = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    expected = 100.0 * (rest - rest[0]) @ turn.T
    offsets = np.zeros((24, 3))
    for index, name in enumerate(JOINT_NAMES):
        offsets[index] = bones[name][1] + (offsets[PARENTS[index]] if index else 0.0)
    np.testing.assert_allclose(offsets, expected, atol=1e-3)
    assert offsets[JOINT_NAMES.index("left_wrist")][0] > 50.0
    # Whether a reader adds the root's offset to its channels or not, joints come out in the same place.
    placed = pose_bvh(bones, frames)
    joints = np.stack([placed[name] for name in JOINT_NAMES], axis=1) / 100.0
    assert furthest(joints @ turn, truth) < CLOSE


def test_amass_is_read_again(take, body, make_motion, tmp_path):
    truth = joints_of(armatures_of(take), range(1, 15), SMPLH_JOINT_NAMES)
    files = export.export_take(armatures_of(take), tmp_path / "x.npz", "amass", export.ExportOptions(body=body))
    assert [file.name for file in files] == ["x.npz", "x.person-2.npz"]
    for person, file in enumerate(files):
        with np.load(file) as archive:
            poses, trans = archive["poses"].reshape(-1, 52, 3), archive["trans"]
            assert archive["mocap_framerate"] == 25.0
        # With this person's shape put in, every joint.
        betas = np.array(armatures_of(take)[person][OURS]["betas"])[: body.shapedirs.shape[2]]
        joints = body.with_fingers.joints(poses, betas, trans + SMPL_PELVIS - body.rest_joints(betas)[0])
        assert furthest(joints, truth[:, person]) < CLOSE
        motion = read_motion(file, body)
        assert motion.frame_rate == pytest.approx(25.0)
        away = rotations.relative_angle(*map(rotations.axis_angle_to_matrix, (motion.fingers, fingers_of(person + 1))))
        assert np.degrees(away).max() < 0.01
        # Readers bring the feet down to the floor.
        path = motion.joints_world[:, 0] - truth[:, person, 0]
        assert MILLIMETRES * np.ptp(path, axis=0).max() < CLOSE
        assert MILLIMETRES * np.abs(path[:, :2]).max() < CLOSE


def test_amass_needs_our_own_character(body, tmp_path):
    data = bpy.data.armatures.new("other")
    other = bpy.data.objects.new("other", data)
    bpy.context.scene.collection.objects.link(other)
    with pytest.raises(export.ExportError, match="no character of Video Motion"):
        export.export_take([other], tmp_path / "x.npz", "amass", export.ExportOptions(body=body))
    assert not list(tmp_path.iterdir())


def test_a_turned_and_scaled_rig_with_constraints_is_baked(take, tmp_path):
    armature = armatures_of(take)[0]
    armature.location, armature.rotation_euler, armature.scale = (1.0, 2.0, 0.5), (0.3, -0.2, 1.0), (0.01,) * 3
    target = bpy.data.objects.new("target", None)
    bpy.context.scene.collection.objects.link(target)
    target.location = (0.5, -1.0, 2.0)
    constraint = armature.pose.bones["left_shoulder"].constraints.new("DAMPED_TRACK")
    constraint.target = target
    truth = joints_of([armature], range(1, 15))
    for reader in ("fbx", "glb"):
        path = tmp_path / f"x.{reader}"
        blend = tmp_path / "x.blend"
        bpy.ops.wm.save_as_mainfile(filepath=str(blend), copy=True)
        export.export_take([bpy.data.objects[armature.name]], path, reader)
        read = read_again(reader, [path], 14, 25.0)
        assert furthest(read, truth) < CLOSE
        bpy.ops.wm.open_mainfile(filepath=str(blend))
        armature = bpy.data.objects["walk person 1"]


def test_errors_are_a_sentence(take, tmp_path, monkeypatch):
    armature = armatures_of(take)[0]
    before = names()
    blocked = tmp_path / "file"
    blocked.touch()
    for path, options, words in (
        (blocked / "x.glb", export.ExportOptions(), "can't be written"),
        (tmp_path / "x.glb", export.ExportOptions(frame_range=(5, 4)), "later than the first"),
    ):
        with pytest.raises(export.ExportError, match=words):
            export.export_take([armature], path, "glb", options)
    with pytest.raises(export.ExportError, match="no character"):
        export.export_take([], tmp_path / "x.glb", "glb")

    def fail(file, options, staging):
        file.write_text("half")
        raise RuntimeError("Error: it broke")

    monkeypatch.setitem(exporters._EXPORTERS, "glb", fail)
    with pytest.raises(export.ExportError, match="it broke"):
        export.export_take([armature], tmp_path / "x.glb", "glb")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert names() == before


def test_full_disks_and_interruptions_leave_no_half_file(take, tmp_path, monkeypatch):
    """Exporters in Python report it with a traceback, USD's writes what fits without an error."""
    armature = armatures_of(take)[0]

    def fail(file, options, staging):
        file.write_text("half")
        raise RuntimeError(
            'Error: Python: Traceback (most recent call last):\n  File "x.py", line 5, in execute\n'
            "OSError: [Errno 28] No space left on device\nLocation: /x/bpy/ops.py:109\n"
        )

    monkeypatch.setitem(exporters._EXPORTERS, "glb", fail)
    with pytest.raises(export.ExportError, match="No space left on device") as caught:
        export.export_take([armature], tmp_path / "x.glb", "glb")
    assert "Traceback" not in str(caught.value)
    assert not list(tmp_path.iterdir())

    def interrupted(file, options, staging):
        raise RuntimeError(
            "Error: Python: Traceback (most recent call last):\nKeyboardInterrupt\nLocation: /x/bpy/ops.py:109\n"
        )

    # An interruption is not reported as a failed exporter.
    monkeypatch.setitem(exporters._EXPORTERS, "glb", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export.export_take([armature], tmp_path / "x.glb", "glb")
    assert not list(tmp_path.iterdir())
    if not bpy.app.build_options.usd:
        return
    whole = tmp_path / "x.usd"
    export.export_take([armature], whole, "usd")
    raw = whole.read_bytes()
    for size in (0, 10, 1000, len(raw) // 2, len(raw) - 1):

        def cut(file, options, staging, size=size):
            file.write_bytes(raw[:size])

        monkeypatch.setitem(exporters._EXPORTERS, "usd", cut)
        with pytest.raises(export.ExportError, match="make room"):
            export.export_take([armature], tmp_path / "y.usd", "usd")
    assert [file.name for file in tmp_path.iterdir()] == ["x.usd"]
    assert whole.read_bytes() == raw


@pytest.fixture
def seen_later(make_motion, body):
    """Two people, of whom the second is seen in the frames 6 to 10 of 14."""
    motions = [
        make_motion(count=14, frame_rate=25.0),
        make_motion(count=5, frame_rate=25.0, start=0.2, seed=2, person=2),
    ]
    return build_scene(motions, body, options=SceneOptions(frame_rate=25.0))


@pytest.mark.parametrize("format", ["fbx", "glb"])
def test_files_tell_when_someone_is_seen(seen_later, tmp_path, format):
    armatures = armatures_of(seen_later)
    armatures[1].data["theirs"] = seen_later.characters[1].mesh["theirs"] = "not for the file"
    path = tmp_path / f"x{export.ENDINGS[format]}"
    export.export_take(armatures, path, format)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.fbx(filepath=str(path)) if format == "fbx" else bpy.ops.import_scene.gltf(filepath=str(path))
    first, second = (bpy.data.objects[f"walk person {number}"] for number in (1, 2))
    assert (first["seen_from"], first["seen_until"]) == pytest.approx((0.0, 13 / 25))
    assert (second["seen_from"], second["seen_until"]) == pytest.approx((5 / 25, 9 / 25))
    assert not any("theirs" in one for one in (second, second.data, bpy.data.objects["walk person 2 body"]))


@pytest.mark.skipif(importlib.util.find_spec("pxr") is None, reason="needs 'pxr'")
def test_usd_tells_when_someone_is_seen(seen_later, tmp_path):
    path = tmp_path / "x.usd"
    export.export_take(armatures_of(seen_later), path, "usd")
    stage: Any = importlib.import_module("pxr.Usd").Stage.Open(str(path))
    skeletons = [stage.GetPrimAtPath(f"/root/walk_person_{number}") for number in (1, 2)]
    read = [[one.GetAttribute(f"userProperties:seen_{end}").Get(0) for end in ("from", "until")] for one in skeletons]
    np.testing.assert_allclose(read, [(0.0, 13 / 25), (5 / 25, 9 / 25)], atol=1e-6)


def test_people_who_are_not_seen_are_exported_whole(seen_later, tmp_path):
    armature = armatures_of(seen_later)[1]
    mesh = seen_later.characters[1].mesh
    mesh.data.shape_keys.key_blocks["shape_01"].value = 1.0
    bpy.context.scene.frame_set(1)
    hidden = mesh.hide_viewport
    path = tmp_path / "x.glb"
    export.export_take([armature], path, "glb", export.ExportOptions(shape_keys=True))
    assert (hidden, mesh.hide_viewport, mesh.hide_render) == (True, True, True)
    assert export.export_take([armature], tmp_path / "y.bvh", "bvh")
    assert "Frames: 5" in (tmp_path / "y.bvh").read_text(), "the keys around the motion add no frames"
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(path))
    (read,) = (one for one in bpy.context.scene.objects if one.type == "MESH" and one.find_armature())
    assert len(read.data.vertices) > 1000
    assert not read.hide_viewport


def test_operator(take, tmp_path, extension):
    armature = armatures_of(take)[0]
    for one in bpy.context.scene.objects:
        one.select_set(False)
    take.characters[0].mesh.select_set(True)
    path = tmp_path / "x.glb"
    assert bpy.ops.video_motion.export_take(filepath=str(path), format="glb", frames="CHOSEN", first=3, last=6) == {
        "FINISHED"
    }
    name = armature.name
    bpy.ops.wm.read_factory_settings(use_empty=True)
    set_frame_rate(bpy.context.scene, 25.0)
    bpy.ops.import_scene.gltf(filepath=str(path))
    (read,) = (one for one in bpy.context.scene.objects if one.type == "ARMATURE")
    assert read.name == name
    assert tuple(read.animation_data.action.frame_range) == (0.0, 3.0)
    assert channels_of(read) is not None


# What the tests need of FBX and BVH files.


def read_fbx(path: Path) -> tuple[dict[str, float], dict[str, dict[str, tuple]]]:
    """Global settings, and properties of each model by its name, of a binary FBX file."""
    raw = path.read_bytes()
    assert struct.unpack_from("<I", raw, 23)[0] < 7500

    def value(at: int) -> tuple[object, int]:
        kind, at = chr(raw[at]), at + 1
        if kind in "SR":
            (size,) = struct.unpack_from("<I", raw, at)
            return raw[at + 4 : at + 4 + size], at + 4 + size
        if kind in "fdlibc":
            _, _, size = struct.unpack_from("<III", raw, at)
            return None, at + 12 + size
        code = {"Y": "<h", "C": "<?", "I": "<i", "F": "<f", "D": "<d", "L": "<q"}[kind]
        return struct.unpack_from(code, raw, at)[0], at + struct.calcsize(code)

    def element(at: int) -> tuple[str, list, list, int] | None:
        end, count, _, length = struct.unpack_from("<IIIB", raw, at)
        if not end:
            return None
        name, at = raw[at + 13 : at + 13 + length].decode(), at + 13 + length
        values, children = [], []
        for _ in range(count):
            one, at = value(at)
            values.append(one)
        while at < end and (child := element(at)) is not None:
            children.append(child)
            at = child[3]
        return name, values, children, end

    def properties(node: tuple) -> dict[str, tuple]:
        table = next(child for child in node[2] if child[0] == "Properties70")
        return {row[1][0].decode(): tuple(row[1][4:]) for row in table[2]}

    top, at = {}, 27
    while (found := element(at)) is not None:
        top[found[0]], at = found, found[3]
    settings = {name: values[0] for name, values in properties(top["GlobalSettings"]).items() if values}
    models = [node for node in top["Objects"][2] if node[0] == "Model"]
    return settings, {node[1][1].split(b"\0")[0].decode(): properties(node) for node in models}


def read_bvh(path: Path) -> tuple[dict[str, tuple[str | None, np.ndarray, list[str]]], np.ndarray, float]:
    """Each bone's parent, offset and channels; the frames; seconds of a frame."""
    words = path.read_text().split()
    bones: dict[str, tuple[str | None, np.ndarray, list[str]]] = {}
    stack: list[str | None] = [None]
    at = 1
    name: str | None = None
    while words[at] != "MOTION":
        word = words[at]
        if word in ("ROOT", "JOINT"):
            name, at = words[at + 1], at + 2
        elif word == "End":
            name, at = None, at + 2
        elif word == "{":
            stack.append(name)
            at += 1
        elif word == "}":
            stack.pop()
            at += 1
        elif word == "OFFSET":
            if name is not None:
                bones[name] = (stack[-2], np.array(words[at + 1 : at + 4], float), [])
            at += 4
        else:
            count = int(words[at + 1])
            bones[str(name)][2].extend(words[at + 2 : at + 2 + count])
            at += 2 + count
    count = int(words[at + 2])
    return bones, np.array(words[at + 6 :], float).reshape(count, -1), float(words[at + 5])


def pose_bvh(bones, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Places (N, 3) of the bones by name."""
    positions, global_rotations, column = {}, {}, 0
    for name, (parent, offset, channels) in bones.items():
        local_rotations = np.tile(np.eye(3), (len(frames), 1, 1))
        moved = np.tile(offset, (len(frames), 1))
        for channel in channels:
            axis = "XYZ".index(channel[0])
            if channel.endswith("position"):
                moved[:, axis] = frames[:, column]
            else:
                angles = np.zeros((len(frames), 3))
                angles[:, axis] = np.radians(frames[:, column])
                local_rotations = local_rotations @ rotations.axis_angle_to_matrix(angles)
            column += 1
        if parent is None:
            positions[name], global_rotations[name] = moved, local_rotations
        else:
            positions[name] = positions[parent] + np.einsum("nij,nj->ni", global_rotations[parent], moved)
            global_rotations[name] = global_rotations[parent] @ local_rotations
    return positions
