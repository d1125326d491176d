"""The footage behind the camera: in step with the motion, upright, found again."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from video_motion.addon.compatibility import channels_of
from video_motion.addon.scene.backdrop import BackdropError, quarter_turns
from video_motion.addon.scene.take import SceneOptions, build_scene

from ..blender import go_to

pytestmark = pytest.mark.interface

DATA = Path(__file__).parents[1] / "data"
STEADY_RATE = 30000 / 1001


class Projector:
    """Tells which picture of a counting video a backdrop shows, by rendering it through a texture with its settings."""

    def __init__(self, folder: Path, image: bpy.types.Image) -> None:
        self.file = folder / "shown.png"
        self.scene = scene = bpy.data.scenes.new("projector")
        scene.render.engine = "CYCLES"
        scene.cycles.samples = 1
        scene.cycles.use_denoising = False
        scene.render.resolution_x = scene.render.resolution_y = 4
        scene.view_settings.view_transform = "Standard"
        scene.render.image_settings.file_format = "PNG"
        scene.render.filepath = str(self.file)
        camera = bpy.data.objects.new("projector", bpy.data.cameras.new("projector"))
        camera.data.type = "ORTHO"
        camera.location = (0.0, 0.0, 1.0)
        screen = bpy.data.objects.new("screen", bpy.data.meshes.new("screen"))
        screen.data.from_pydata([(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)], [], [(0, 1, 2, 3)])
        screen.data.uv_layers.new()
        for thing in (camera, screen):
            scene.collection.objects.link(thing)
        scene.camera = camera
        material = bpy.data.materials.new("screen")
        if not material.use_nodes:
            material.use_nodes = True
        tree = material.node_tree
        tree.nodes.clear()
        self.texture = tree.nodes.new("ShaderNodeTexImage")
        self.texture.image = image
        light, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
        tree.links.new(self.texture.outputs["Color"], light.inputs["Color"])
        tree.links.new(light.outputs["Emission"], output.inputs["Surface"])
        screen.data.materials.append(material)

    def number(self, frame: int, user: bpy.types.ImageUser) -> float:
        """The picture, counted from 0, at a scene frame."""
        for name in ("frame_start", "frame_offset", "frame_duration", "use_cyclic", "use_auto_refresh"):
            setattr(self.texture.image_user, name, getattr(user, name))
        self.scene.frame_set(frame)
        bpy.ops.render.render(write_still=True, scene=self.scene.name)
        shown = bpy.data.images.load(str(self.file))
        level = shown.pixels[4 * 5] * 255
        bpy.data.images.remove(shown)
        # Video's grey runs from 16 to 235.
        return (level / 255 * 219 + 16 - 20) / 5


@pytest.mark.parametrize("fps", [24.0, 25.0, STEADY_RATE, 60.0])
@pytest.mark.parametrize("video", ["steady", "uneven"])
def test_backdrop_shows_the_picture_of_the_moment(make_motion, body, tmp_path, video, fps):
    times = np.arange(40) / STEADY_RATE if video == "steady" else np.loadtxt(DATA / "uneven.txt")
    # Blender counts positions by the mean rate, so of unevenly spaced pictures it cannot show every one.
    slack = 1e-6 if video == "steady" else np.ptp(times) / 39
    motion = make_motion(count=40, size=(64, 48))
    motion.timestamps = times
    motion = motion.trimmed(np.arange(40) % 39 > 2)
    take = build_scene([motion], body, DATA / f"{video}.mp4", SceneOptions(frame_rate=fps, mesh=False))
    projector = Projector(tmp_path, take.footage)
    scene = bpy.context.scene
    for frame in range(scene.frame_start, scene.frame_end + 1, 4):
        backdrop = take.camera.evaluated_get(go_to(frame)).data.background_images[0]
        shown = projector.number(frame, backdrop.image_user)
        picture = round(shown)
        assert abs(shown - picture) < 0.45
        second = (frame - 1) / fps
        assert abs(times[picture] - second) <= np.abs(times - second).min() + slack


def test_slow_motion_is_shown_at_its_true_speed(make_motion, body, tmp_path):
    motion = make_motion(count=40, size=(64, 48), frame_rate=4 * STEADY_RATE)
    motion.provenance = {**motion.provenance, "slow_motion": 4.0}
    take = build_scene([motion], body, DATA / "steady.mp4", SceneOptions(frame_rate=30.0, mesh=False))
    projector = Projector(tmp_path, take.footage)
    scene = bpy.context.scene
    assert (scene.frame_start, scene.frame_end) == (1, 10)
    for frame in (1, 4, 9):
        backdrop = take.camera.evaluated_get(go_to(frame)).data.background_images[0]
        assert round(projector.number(frame, backdrop.image_user)) == 4 * (frame - 1)


def test_no_curve_where_rates_agree(make_motion, body):
    motion = make_motion(count=40, size=(64, 48), frame_rate=STEADY_RATE)
    take = build_scene([motion], body, DATA / "steady.mp4", SceneOptions(frame_rate=STEADY_RATE, mesh=False))
    assert channels_of(take.camera.data) is None
    assert take.footage.source == "MOVIE"


def test_footage_that_blender_cannot_read_is_an_error(make_motion, body, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("This is no video.")
    for file in (tmp_path / "none.mp4", text):
        with pytest.raises(BackdropError, match=file.name):
            build_scene([make_motion(count=2)], body, file)


def test_rotated_videos_are_shown_upright(make_motion, body):
    file = DATA.parent.parent / "data" / "rotated.mp4"
    assert quarter_turns(file) == 3
    motion = make_motion(count=5, size=(64, 96), frame_rate=10.0)
    take = build_scene([motion], body, file, SceneOptions(frame_rate=10.0, mesh=False))
    backdrop = take.camera.evaluated_get(go_to(2)).data.background_images[0]
    width, height = take.footage.size
    if bpy.app.version >= (4, 5):
        assert (width, height, backdrop.rotation, backdrop.scale) == (64, 96, 0.0, 1.0)
    else:
        assert (width, height) == (96, 64)
        assert backdrop.rotation == pytest.approx(-np.pi / 2)
        assert backdrop.scale == pytest.approx(1.5)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 64, b"\0\0\0\1moov" + b"\xff" * 40, b"\0\0\0\x30moov\0\0\0\x28trak" * 9]
)
def test_odd_files_are_not_rotated(tmp_path, content):
    file = tmp_path / "odd.mp4"
    file.write_bytes(content)
    assert quarter_turns(file) == 0
