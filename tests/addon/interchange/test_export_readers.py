"""Exported files as programs that are not Blender read them: joints, bind poses and deformed skins, in millimetres."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from video_motion.addon.interchange import export
from video_motion.addon.research.export_accuracy import IMPORTERS, joints_of, same_vertices
from video_motion.addon.research.export_readers import PACKAGES, READERS, Reading, read_elsewhere
from video_motion.addon.scene.armature import BONE_NAMES
from video_motion.addon.scene.keyframes import CORRECTIVE_NAMES
from video_motion.addon.scene.take import SceneOptions, build_scene, set_frame_rate

from ..blender import go_to, vertices
from .test_export import MILLIMETRES, furthest

RATE, COUNT = 25.0, 9
MOMENTS = (0, 4, 8)

FILES = [("fbx", "unreal"), ("fbx", "unity"), ("glb", "unreal"), ("usd", "unreal"), ("bvh", "unreal")]
SKINNED = FILES[:-1]

JOINTS_CLOSE = 0.01
# Files hold fewer digits of weights than Blender.
SKIN_CLOSE = 0.1


@pytest.fixture
def take(make_motion, body):
    """Two people, the second turned and scaled as an object."""
    motions = [make_motion(count=COUNT, frame_rate=RATE, seed=person, person=person) for person in (1, 2)]
    for motion in motions:
        motion.fingers = np.random.default_rng(motion.person).normal(scale=0.4, size=(COUNT, 30, 3))
    take = build_scene(motions, body, options=SceneOptions(frame_rate=RATE))
    other = take.characters[1].armature
    other.location, other.rotation_euler, other.scale = (1.0, 2.0, 0.5), (0.3, -0.2, 1.0), (1.1,) * 3
    return take


def written(characters, folder: Path, format: str, **options) -> list[Reading]:
    """What another program reads of characters."""
    ending = export.ENDINGS[format]
    # A real Blender's Python has no packages of PyPI; wherever there are some, those for the tests must be, too.
    if bpy.app.binary_path and ending in PACKAGES:
        pytest.skip(f"{READERS[ending][0]} can't be installed here.")
    if format == "usd" and not bpy.app.build_options.usd:
        pytest.skip("This Blender was built without USD.")
    armatures = [character.armature for character in characters]
    files = export.export_take(armatures, folder / f"two pëople{ending}", format, export.ExportOptions(**options))
    moments = () if format == "bvh" else MOMENTS
    return [reading for file in files for reading in read_elsewhere(file, COUNT, RATE, moments)]


def skins_of(characters) -> list[np.ndarray]:
    """Evaluated vertices (M, V, 3) of each character in the world."""
    posed = [[vertices(one.mesh, graph) for one in characters] for graph in map(go_to, (1 + at for at in MOMENTS))]
    return [np.array(skin) for skin in zip(*posed, strict=True)]


def at_rest(points: np.ndarray, character) -> np.ndarray:
    """Points of armature space in the world."""
    world = np.array(character.armature.matrix_world)
    return points @ world[:3, :3].T + world[:3, 3]


def rest_skin(character) -> np.ndarray:
    """Vertices (V, 3) of the skin at rest, in armature space."""
    return np.array([vertex.co for vertex in character.mesh.data.vertices])


@pytest.mark.parametrize(("format", "engine"), FILES)
def test_joints_are_where_blender_has_them(take, tmp_path, format, engine):
    truth = joints_of([one.armature for one in take.characters], range(1, 1 + COUNT), BONE_NAMES)
    heads = [[one.armature.data.bones[name].head_local for name in BONE_NAMES] for one in take.characters]
    binds = [at_rest(np.array(own), one) for own, one in zip(heads, take.characters, strict=True)]
    readings = written(take.characters, tmp_path, format, engine=engine)
    assert len(readings) == 2
    for person, (reading, bind) in enumerate(zip(readings, binds, strict=True)):
        order = reading.order(BONE_NAMES)
        assert furthest(reading.joints[:, order], truth[:, person]) < JOINTS_CLOSE
        # BVH's rest pose has the root at the origin.
        expected = bind - bind[0] if format == "bvh" else bind
        assert furthest(reading.bind[order], expected) < JOINTS_CLOSE


@pytest.mark.parametrize("format", ["fbx", "glb", "usd", "bvh"])
def test_any_names_are_exported(take, tmp_path, format):
    """In USD names have letters and digits only, in BVH they end at a space; some become alike by that."""
    person = take.characters[0]
    for joint, name in {
        "left_hip": "左足",
        "right_hip": "右足",
        "left_knee": "a b",
        "right_knee": "a_b",
        "left_ankle": "a:b",
        "spine1": "1.spine",
        "neck": "x|y\"z'\\",
    }.items():
        person.armature.data.bones[joint].name = name
    person.armature.name, person.mesh.name = "体 1", "体.1"
    truth = np.empty((COUNT, len(BONE_NAMES), 3))
    for row in range(COUNT):
        posed = person.armature.evaluated_get(go_to(1 + row))
        truth[row] = [posed.matrix_world @ bone.head for bone in posed.pose.bones]
    (skin,) = skins_of([person])
    rest = at_rest(rest_skin(person), person)
    before = [bone.name for bone in person.armature.data.bones]
    (reading,) = written([person], tmp_path, format)
    assert len(set(reading.names)) == len(BONE_NAMES)
    assert [bone.name for bone in person.armature.data.bones] == before
    # Whatever they are called, each joint is where one of Blender's is.
    away = np.linalg.norm(reading.joints[:, :, None] - truth[:, None], axis=-1).min(axis=1)
    assert MILLIMETRES * away.max() < JOINTS_CLOSE
    if format != "bvh":
        assert furthest(reading.skin, skin[:, same_vertices(reading.rest, rest)]) < SKIN_CLOSE


@pytest.mark.parametrize(("format", "engine"), SKINNED)
def test_skin_is_where_blender_has_it(take, tmp_path, format, engine):
    truth = skins_of(take.characters)
    rests = [at_rest(rest_skin(one), one) for one in take.characters]
    readings = written(take.characters, tmp_path, format, engine=engine)
    for reading, rest, skin in zip(readings, rests, truth, strict=True):
        same = same_vertices(reading.rest, rest)
        assert set(same) == set(range(len(rest)))
        assert furthest(reading.skin, skin[:, same]) < SKIN_CLOSE


@pytest.fixture(scope="module")
def licensed_like(body):
    """The free body with pose correctives of some vertices, which only licensed ones have."""
    posedirs = np.zeros((len(body.v_template), 3, 207))
    posedirs[::100] = np.random.default_rng(3).normal(scale=0.01, size=posedirs[::100].shape)
    return replace(body, posedirs=posedirs)


@pytest.fixture
def corrected(make_motion, licensed_like):
    """A person whose skin has keyed correctives, a quarter of them, as exporters take their time for each."""
    motion = make_motion(count=COUNT, frame_rate=RATE)
    options = SceneOptions(frame_rate=RATE, correctives=True)
    character = build_scene([motion], licensed_like, options=options).characters[0]
    for name in CORRECTIVE_NAMES[52:]:
        character.mesh.shape_key_remove(character.mesh.data.shape_keys.key_blocks[name])
    return character


@pytest.mark.parametrize(("format", "engine"), [pair for pair in SKINNED if pair != ("fbx", "unity")])
def test_keyed_shape_keys_are_exported(corrected, tmp_path, format, engine):
    rest = rest_skin(corrected)
    (skin,) = skins_of([corrected])
    (reading,) = written([corrected], tmp_path, format, engine=engine, shape_keys=True)
    same = same_vertices(reading.rest, rest)
    assert furthest(reading.skin, skin[:, same]) < SKIN_CLOSE

    bpy.ops.wm.read_factory_settings(use_empty=True)
    set_frame_rate(bpy.context.scene, RATE)
    _, read, start = IMPORTERS[format]
    read(tmp_path / f"two pëople{export.ENDINGS[format]}")
    mesh = next(one for one in bpy.context.scene.objects if one.type == "MESH" and one.find_armature())
    for key in mesh.data.shape_keys.key_blocks:
        # Of glTF and USD the importers allow values from 0 to 1 only, whatever is keyed.
        key.slider_min, key.slider_max = -10.0, 10.0
    positions = np.array([vertices(mesh, go_to(start + at)) for at in MOMENTS])
    for key in mesh.data.shape_keys.key_blocks:
        key.mute = True
    mesh.modifiers.clear()
    same = same_vertices(vertices(mesh, go_to(start)), rest)
    assert furthest(positions, skin[:, same]) < SKIN_CLOSE


def test_without_shape_keys_correctives_are_left_out(corrected, tmp_path):
    bpy.context.scene.frame_set(5)
    rest = rest_skin(corrected)
    (reading,) = written([corrected], tmp_path, "glb")
    assert furthest(reading.rest, rest[same_vertices(reading.rest, rest)]) < JOINTS_CLOSE
