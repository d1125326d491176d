"""Render the sample clip, whose true motion is known. Run by hand in an environment with `bpy`; see README.md."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import choreography  # noqa: E402  # pyrefly: ignore[missing-import]
from video_motion.inference.body.skeleton import JOINT_NAMES  # noqa: E402
from video_motion.inference.body.smpl import Body  # noqa: E402
from video_motion.inference.motion.motion import Motion  # noqa: E402

# Materials of the person, in the order of their slots.
SKIN, SHIRT, TROUSERS, SHOES, SOLES, HAIR, EYES, IRIS = range(8)

FEATHER = 10
"""Pixels over which a rendered region fades into the empty room."""

LAMPS = {"window": (1.1, 2.0, 4.6), "ceiling": (-0.6, 3.8, 4.8)}
"""Where the lamps hang, metres in the world."""

THICKNESS = {SHIRT: 0.013, TROUSERS: 0.012, SHOES: 0.012, SOLES: 0.012, HAIR: 0.02}
"""How far clothes and hair stand off the skin, metres. The true motion is the body's inside."""


def dressed(body: Body, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rest vertices (V, 3) with clothes and hair on, and what each quad (Q,) is made of."""
    rest = body.surface.rest(betas)
    joints = body.rest_joints(betas)
    at = {name: joints[number] for number, name in enumerate(JOINT_NAMES)}
    owner = np.array(JOINT_NAMES)[body.weights.argmax(1)]
    side = np.abs(rest[:, 0])
    material = np.full(len(rest), SKIN)
    trunk = np.isin(owner, ["pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar", "neck"])
    sleeve = np.char.endswith(owner, "shoulder") & (side < 0.55 * at["left_shoulder"][0] + 0.45 * at["left_elbow"][0])
    belt = at["pelvis"][1] + 0.03
    neckline = at["neck"][1] - 0.035 - 0.45 * np.maximum(rest[:, 2] - at["neck"][2], 0) + 0.25 * side
    material[(trunk | sleeve) & (rest[:, 1] > belt) & (rest[:, 1] < neckline)] = SHIRT
    legs = np.isin(owner, ["pelvis", "left_hip", "right_hip", "left_knee", "right_knee", "spine1"])
    ankle = at["left_ankle"][1]
    material[legs & (rest[:, 1] <= belt) & (rest[:, 1] > ankle + 0.045)] = TROUSERS
    material[rest[:, 1] < ankle + 0.02] = SHOES
    floor = rest[:, 1].min()
    material[rest[:, 1] < floor + 0.016] = SOLES
    head, top = at["head"], rest[:, 1].max()
    crown = top - 0.075 + 0.9 * (rest[:, 2] - head[2] - 0.035)
    nape = head[1] - 0.02 + 0.55 * np.maximum(rest[:, 2] - head[2] + 0.02, 0)
    scalp = (owner == "head") & (rest[:, 1] > np.maximum(np.minimum(crown, top - 0.035), nape))
    material[scalp] = HAIR

    parts = body.parts if body.parts is not None else np.zeros(len(rest), dtype=int)
    names = list(body.part_names) or ["skin"]
    eyes = np.isin(parts, [names.index(name) for name in ("left_eye", "right_eye") if name in names])
    material[eyes] = EYES
    for name in ("left_eye", "right_eye"):
        if name in names:
            ball = np.flatnonzero(parts == names.index(name))
            front = rest[ball, 2].max()
            material[ball[rest[ball, 2] > front - 0.0035]] = IRIS
    quads = body.quads if body.quads is not None else body.faces
    looks = material[quads]
    # A quad is skin only where all of its corners are.
    per_quad = np.sort(looks, axis=1)[:, -1]
    per_quad[(looks == EYES).any(1)] = EYES
    per_quad[(looks == IRIS).all(1)] = IRIS

    thickness = np.zeros(len(rest))
    for look, depth in THICKNESS.items():
        thickness[material == look] = depth
    edges = np.concatenate([quads[:, [a, (a + 1) % quads.shape[1]]] for a in range(quads.shape[1])])
    degree = np.bincount(edges.ravel(), minlength=len(rest))
    for _ in range(2):
        total = np.zeros(len(rest))
        np.add.at(total, edges[:, 0], thickness[edges[:, 1]])
        np.add.at(total, edges[:, 1], thickness[edges[:, 0]])
        thickness = np.where(material == SKIN, thickness * 0.0, 0.5 * thickness + 0.5 * total / np.maximum(degree, 1))
    normals = np.zeros_like(rest)
    corners = rest[body.faces]
    np.add.at(
        normals,
        body.faces.ravel(),
        np.repeat(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), 3, axis=0),
    )
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return rest + thickness[:, None] * normals, per_quad


class Nodes:
    """A material or world in the making: nodes by name, linked by sockets."""

    def __init__(self, tree: bpy.types.NodeTree):
        """Start with an empty `tree`."""
        self.tree = tree
        tree.nodes.clear()

    def add(self, kind: str, **values: object) -> bpy.types.Node:
        """Add a node; a value goes to the input of that name (spaces as underscores), or to the attribute."""
        node = self.tree.nodes.new(kind)
        for name, value in values.items():
            if hasattr(node, name):
                setattr(node, name, value)
            else:
                socket = node.inputs[name.replace("_", " ")]
                if isinstance(value, bpy.types.NodeSocket):
                    self.tree.links.new(value, socket)
                else:
                    socket.default_value = value
        return node


def colour(red: float, green: float, blue: float) -> tuple[float, float, float, float]:
    """An opaque linear colour."""
    return (red, green, blue, 1.0)


def material(
    name: str,
    dark: tuple[float, float, float, float],
    light: tuple[float, float, float, float],
    scale: float,
    roughness: float,
    bump: float = 0.0,
    stretch: tuple[float, float, float] = (1, 1, 1),
    stripes: float = 0.0,
) -> bpy.types.Material:
    """A surface mottled between two colours by noise fixed to the rest pose (or, for things, to the object)."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    nodes = Nodes(made.node_tree)
    where = nodes.add("ShaderNodeAttribute", attribute_name="rest").outputs["Vector"]
    where = nodes.add("ShaderNodeMapping", Vector=where, Scale=stretch).outputs["Vector"]
    noise = nodes.add("ShaderNodeTexNoise", Vector=where, Scale=scale, Detail=4.0).outputs["Fac"]
    if stripes:
        wave = nodes.add("ShaderNodeTexWave", Vector=where, Scale=stripes, bands_direction="Y", Distortion=0.3)
        ramp = nodes.add("ShaderNodeMapRange", Value=wave.outputs["Fac"], From_Min=0.55, From_Max=0.62)
        mixed = nodes.add("ShaderNodeMath", operation="MULTIPLY_ADD")
        nodes.tree.links.new(noise, mixed.inputs[0])
        mixed.inputs[1].default_value = 0.35
        nodes.tree.links.new(ramp.outputs["Result"], mixed.inputs[2])
        noise = mixed.outputs["Value"]
    mix = nodes.add("ShaderNodeMix", data_type="RGBA")
    nodes.tree.links.new(noise, mix.inputs["Factor"])
    mix.inputs[6].default_value, mix.inputs[7].default_value = dark, light
    surface = nodes.add("ShaderNodeBsdfPrincipled", Base_Color=mix.outputs[2], Roughness=roughness)
    if bump:
        height = nodes.add("ShaderNodeTexNoise", Vector=where, Scale=scale * 0.6, Detail=3.0).outputs["Fac"]
        folds = nodes.add("ShaderNodeBump", Height=height, Strength=bump, Distance=0.03)
        nodes.tree.links.new(folds.outputs["Normal"], surface.inputs["Normal"])
    output = nodes.add("ShaderNodeOutputMaterial")
    nodes.tree.links.new(surface.outputs["BSDF"], output.inputs["Surface"])
    return made


def remember_rest(mesh: bpy.types.Mesh, points: np.ndarray) -> None:
    """Store the positions that textures are fixed to."""
    mesh.attributes.new("rest", "FLOAT_VECTOR", "POINT").data.foreach_set("vector", points.astype(np.float32).ravel())


def add_person(body: Body, rest: np.ndarray, looks: np.ndarray) -> bpy.types.Object:
    """The person's mesh with clothes on."""
    mesh = bpy.data.meshes.new("person")
    quads = body.quads if body.quads is not None else body.faces
    mesh.from_pydata(rest.tolist(), [], quads.tolist())
    remember_rest(mesh, rest)
    for made in (
        material("skin", colour(0.47, 0.235, 0.15), colour(0.58, 0.315, 0.215), 9, 0.5, 0.04),
        material("shirt", colour(0.06, 0.14, 0.30), colour(0.62, 0.60, 0.55), 5, 0.85, 0.55, stripes=6.5),
        material("trousers", colour(0.055, 0.06, 0.075), colour(0.13, 0.13, 0.14), 7, 0.9, 0.7, (1, 0.6, 1)),
        material("shoes", colour(0.30, 0.30, 0.31), colour(0.52, 0.52, 0.52), 18, 0.6, 0.2),
        material("soles", colour(0.75, 0.74, 0.70), colour(0.8, 0.79, 0.76), 10, 0.7),
        material("hair", colour(0.018, 0.010, 0.006), colour(0.075, 0.042, 0.022), 40, 0.55, 0.9, (2.5, 0.5, 0.8)),
        material("eyes", colour(0.78, 0.76, 0.74), colour(0.82, 0.80, 0.78), 5, 0.2),
        material("iris", colour(0.02, 0.012, 0.008), colour(0.05, 0.03, 0.02), 60, 0.15),
    ):
        mesh.materials.append(made)
    mesh.polygons.foreach_set("material_index", looks.astype(np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(looks), dtype=bool))
    person = bpy.data.objects.new("person", mesh)
    bpy.context.collection.objects.link(person)
    return person


def add_box(
    name: str,
    centre: tuple[float, float, float],
    size: tuple[float, float, float],
    look: bpy.types.Material,
    rounded: float = 0.01,
    heading: float = 0.0,
) -> None:
    """A box with soft edges, textured in metres."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
    points = signs * size
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(
        points.tolist(),
        [],
        [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)],
    )
    remember_rest(mesh, points + centre)
    mesh.materials.append(look)
    box = bpy.data.objects.new(name, mesh)
    box.location = centre
    box.rotation_euler = (0, 0, np.radians(heading))
    bpy.context.collection.objects.link(box)
    if rounded:
        bevel = box.modifiers.new("edges", "BEVEL")
        bevel.width, bevel.segments = rounded, 3


def floor_material() -> bpy.types.Material:
    """Wooden planks."""
    made = bpy.data.materials.new("floor")
    made.use_nodes = True
    nodes = Nodes(made.node_tree)
    where = nodes.add("ShaderNodeAttribute", attribute_name="rest").outputs["Vector"]
    grain = nodes.add(
        "ShaderNodeTexNoise",
        Vector=nodes.add("ShaderNodeMapping", Vector=where, Scale=(1.5, 28, 1)).outputs["Vector"],
        Scale=3.0,
        Detail=5.0,
    )
    planks = nodes.add("ShaderNodeTexBrick", Vector=where, Scale=1.0)
    planks.inputs["Brick Width"].default_value = 1.3
    planks.inputs["Row Height"].default_value = 0.14
    planks.inputs["Mortar Size"].default_value = 0.003
    planks.inputs["Color1"].default_value = colour(0.27, 0.155, 0.08)
    planks.inputs["Color2"].default_value = colour(0.36, 0.22, 0.12)
    planks.inputs["Mortar"].default_value = colour(0.07, 0.04, 0.025)
    mix = nodes.add("ShaderNodeMix", data_type="RGBA", blend_type="MULTIPLY")
    mix.inputs["Factor"].default_value = 0.45
    nodes.tree.links.new(planks.outputs["Color"], mix.inputs[6])
    nodes.tree.links.new(grain.outputs["Color"], mix.inputs[7])
    surface = nodes.add("ShaderNodeBsdfPrincipled", Base_Color=mix.outputs[2], Roughness=0.45)
    output = nodes.add("ShaderNodeOutputMaterial")
    nodes.tree.links.new(surface.outputs["BSDF"], output.inputs["Surface"])
    return made


def add_room() -> None:
    """Floor, walls, a few pieces of furniture, and light from a window beside the camera."""
    wall = material("wall", colour(0.50, 0.49, 0.45), colour(0.60, 0.585, 0.54), 3, 0.9, 0.08)
    side_wall = material("side wall", colour(0.30, 0.38, 0.40), colour(0.36, 0.44, 0.46), 3, 0.9, 0.08)
    white = material("white", colour(0.7, 0.7, 0.68), colour(0.76, 0.76, 0.74), 4, 0.5)
    oak = material("oak", colour(0.30, 0.17, 0.08), colour(0.45, 0.28, 0.15), 6, 0.5, stretch=(1, 1, 9))
    cloth = material("cloth", colour(0.33, 0.13, 0.09), colour(0.45, 0.2, 0.14), 14, 0.95, 0.4)
    green = material("leaves", colour(0.02, 0.09, 0.02), colour(0.12, 0.26, 0.06), 16, 0.7, 0.8)
    picture = material("picture", colour(0.08, 0.2, 0.3), colour(0.85, 0.7, 0.4), 2.2, 0.6)
    books = material("books", colour(0.4, 0.08, 0.06), colour(0.1, 0.25, 0.35), 11, 0.8, stretch=(6, 0.1, 0.1))

    add_box("floor", (0, 3.5, -0.05), (9, 11, 0.1), floor_material(), 0)
    add_box("back wall", (0, 7.0, 1.4), (9, 0.1, 5.2), wall, 0)
    add_box("left wall", (-3.4, 3.5, 1.4), (0.1, 9, 5.2), side_wall, 0)
    add_box("skirting", (0, 6.94, 0.05), (9, 0.03, 0.1), white)
    add_box("side skirting", (-3.34, 3.5, 0.05), (0.03, 9, 0.1), white)
    add_box(
        "rug",
        (0.3, 4.0, 0.004),
        (2.6, 1.9, 0.008),
        material("rug", colour(0.36, 0.30, 0.24), colour(0.48, 0.42, 0.34), 30, 1.0, 0.5),
        0,
    )
    add_box("seat", (1.75, 6.3, 0.24), (1.8, 0.8, 0.36), cloth, 0.07)
    add_box("back rest", (1.75, 6.68, 0.55), (1.8, 0.24, 0.62), cloth, 0.08)
    add_box("arm rest", (0.85, 6.3, 0.38), (0.22, 0.8, 0.5), cloth, 0.07)
    add_box("cushion", (1.35, 6.45, 0.55), (0.42, 0.16, 0.36), picture, 0.06, 12)
    add_box("shelf", (-2.1, 6.75, 0.75), (0.9, 0.34, 1.5), oak)
    for level in (0.28, 0.72, 1.16):
        add_box("books", (-2.13, 6.6, level), (0.7, 0.18, 0.26), books)
    add_box("pot", (-1.15, 6.6, 0.2), (0.34, 0.34, 0.4), white, 0.06)
    for number, (x, z) in enumerate(((-1.15, 0.75), (-1.3, 0.6), (-1.02, 0.62), (-1.2, 0.95), (-1.05, 0.88))):
        add_box(f"leaves {number}", (x, 6.6, z), (0.24, 0.2, 0.3), green, 0.09, 31.0 * number)
    add_box("frame", (0.2, 6.93, 1.75), (1.0, 0.04, 0.7), oak)
    add_box("picture", (0.2, 6.90, 1.75), (0.9, 0.02, 0.6), picture, 0)

    def lamp(name: str, aim: tuple[float, float, float], watts: float, size: float) -> bpy.types.AreaLight:
        place = LAMPS[name]
        light = bpy.data.lights.new(name, "AREA")
        light.energy, light.size = watts, size
        made = bpy.data.objects.new(name, light)
        made.location = place
        away = np.array(place) - aim
        flat = np.hypot(away[0], away[1])
        made.rotation_euler = (np.arctan2(flat, away[2]), 0, np.arctan2(away[0], -away[1]))
        bpy.context.collection.objects.link(made)
        return light

    lamp("window", (0, 4.2, 0.9), 260, 1.4).color = (1.0, 0.95, 0.88)
    lamp("ceiling", (-0.4, 4.4, 0), 150, 2.2).color = (1.0, 0.93, 0.84)
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = colour(0.75, 0.85, 1.0)
    background.inputs["Strength"].default_value = 0.5
    bpy.context.scene.world = world


def add_camera() -> None:
    """The camera of the choreography."""
    lens = bpy.data.cameras.new("camera")
    width = choreography.IMAGE_SIZE[0]
    lens.sensor_fit = "HORIZONTAL"
    lens.sensor_width = 36.0
    lens.lens = choreography.FOCAL / width * lens.sensor_width
    camera = bpy.data.objects.new("camera", lens)
    camera.location = (0, 0, choreography.CAMERA_HEIGHT)
    camera.rotation_euler = (np.radians(90 + choreography.CAMERA_PITCH), 0, 0)
    bpy.context.collection.objects.link(camera)
    bpy.context.scene.camera = camera


def set_up() -> bpy.types.Scene:
    """An empty scene with the renderer's settings."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = choreography.IMAGE_SIZE
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.use_persistent_data = True
    scene.cycles.device = "CPU"
    scene.cycles.use_adaptive_sampling = True
    scene.cycles.adaptive_threshold = 0.05
    scene.cycles.use_denoising = True
    scene.cycles.denoiser = "OPENIMAGEDENOISE"
    scene.cycles.denoising_prefilter = "FAST"
    scene.cycles.denoising_quality = "BALANCED"
    scene.cycles.max_bounces = 2
    scene.cycles.diffuse_bounces = 2
    scene.cycles.glossy_bounces = 1
    scene.cycles.seed = 1
    scene.cycles.use_light_tree = False
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.view_settings.exposure = 0.2
    return scene


def around(points: np.ndarray, motion: Motion) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in pixels of the part of the image that a person (V, 3) and their shadows change."""
    # What is higher than a metre casts only a faint, wide shadow under these lamps.
    low = points[points[:, 2] < 1.0]
    shadows = [points]
    for lamp in LAMPS.values():
        way = low - lamp
        shadows.append(low - way * (low[:, 2:] / way[:, 2:]))
    pose = motion.camera_to_world[0]
    seen = (np.concatenate(shadows) - pose[:3, 3]) @ pose[:3, :3] @ motion.camera_K.T
    pixels = seen[:, :2] / seen[:, 2:]
    width, height = choreography.IMAGE_SIZE
    left, top = np.maximum(pixels.min(0) - 2 * FEATHER, 0)
    right, bottom = np.minimum(pixels.max(0) + 2 * FEATHER, [width, height])
    return int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom))


def render(
    scene: bpy.types.Scene, picture: Path, samples: int, region: tuple[int, int, int, int] | None = None
) -> None:
    """Render the scene, or a region of the image only, to a file."""
    width, height = choreography.IMAGE_SIZE
    scene.render.use_border = scene.render.use_crop_to_border = region is not None
    if region is not None:
        left, top, right, bottom = region
        # Blender rounds down to whole pixels.
        scene.render.border_min_x, scene.render.border_max_x = (left + 0.25) / width, min((right + 0.25) / width, 1)
        scene.render.border_min_y = (height - bottom + 0.25) / height
        scene.render.border_max_y = min((height - top + 0.25) / height, 1)
    scene.cycles.samples = samples
    scene.render.filepath = str(picture)
    bpy.ops.render.render(write_still=True)


def paste(empty: Path, picture: Path, region: tuple[int, int, int, int]) -> None:
    """Complete the picture of a region with the empty room around it, fading from one to the other."""
    left, top, right, bottom = region
    whole, part = (bpy.data.images.load(str(path)) for path in (empty, picture))
    width, height = whole.size
    room = np.array(whole.pixels[:]).reshape(height, width, -1)[..., :3]
    inside = np.array(part.pixels[:]).reshape(part.size[1], part.size[0], -1)[..., :3]
    # Blender's rows run upwards.
    rows, columns = slice(height - bottom, height - top), slice(left, right)

    def fade(low: int, high: int, limit: int) -> np.ndarray:
        at = np.arange(low, high) + 0.5
        from_low = np.ones(len(at)) if low == 0 else (at - low) / FEATHER
        from_high = np.ones(len(at)) if high == limit else (high - at) / FEATHER
        return np.clip(np.minimum(from_low, from_high), 0, 1)

    mask = (fade(top, bottom, height)[::-1, None] * fade(left, right, width))[..., None]
    room[rows, columns] += mask * (inside - room[rows, columns])
    out = bpy.data.images.new("out", width, height)
    out.pixels.foreach_set(np.concatenate([room, np.ones((height, width, 1))], 2).astype(np.float32).ravel())
    out.filepath_raw, out.file_format = str(picture), "PNG"
    out.save()
    for image in (whole, part, out):
        bpy.data.images.remove(image)


def encode(pictures: Path, video: Path) -> None:
    """Join the numbered pictures to an H.264 video with ffmpeg.

    Raises:
        SystemExit: ffmpeg is not there.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise SystemExit("ffmpeg is needed to write the video.")
    rate = str(choreography.FRAME_RATE)
    colours = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    codec = ["-c:v", "libx264", "-preset", "veryslow", "-crf", "17", "-pix_fmt", "yuv420p", "-threads", "1"]
    subprocess.run(
        [
            *[ffmpeg, "-y", "-loglevel", "error", "-framerate", rate, "-i", str(pictures / "%04d.png")],
            *["-vf", "scale=out_color_matrix=bt709", *codec, *colours],
            *["-map_metadata", "-1", "-movflags", "+faststart", str(video)],
        ],
        check=True,
    )


def main() -> None:
    """Make sample.mp4 and sample.truth.npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("body", type=Path, help="the body file that the product builds")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the two files")
    parser.add_argument("--pictures", type=Path, help="keep the rendered frames in this folder; those there stay")
    parser.add_argument("--frames", type=int, nargs="*", help="render these frames only, and no video")
    parser.add_argument("--samples", type=int, default=6, help="light paths per pixel")
    options = parser.parse_args()

    body = Body.load(options.body)
    motion = choreography.truth(body)
    options.out.mkdir(parents=True, exist_ok=True)
    motion.save(options.out / "sample.truth.npz")

    scene = set_up()
    rest, looks = dressed(body, motion.betas)
    person = add_person(body, rest, looks)
    add_room()
    add_camera()
    local = body.local_rotations(motion.poses)
    turned, placed = body.kinematics(local, motion.betas, motion.trans)
    offsets = placed - (turned @ body.rest_joints(motion.betas)[..., None])[..., 0]

    points = np.empty((len(motion), *rest.shape))
    for frame in range(len(motion)):
        blended = np.tensordot(
            body.weights, np.concatenate([turned[frame], offsets[frame][..., None]], axis=-1), axes=1
        )
        points[frame] = np.einsum("vab,vb->va", blended[..., :3], rest) + blended[..., 3]

    with tempfile.TemporaryDirectory() as folder:
        pictures = options.pictures or Path(folder)
        pictures.mkdir(parents=True, exist_ok=True)
        person.hide_render = True
        empty = pictures / "empty.png"
        if not empty.exists():
            render(scene, empty, 6 * options.samples)
        person.hide_render = False
        for frame in options.frames or range(len(motion)):
            picture = pictures / f"{frame:04d}.png"
            if picture.exists():
                continue
            person.data.vertices.foreach_set("co", points[frame].astype(np.float32).ravel())
            person.data.update()
            region = around(points[frame], motion)
            render(scene, picture, options.samples, region)
            paste(empty, picture, region)
        if not options.frames:
            encode(pictures, options.out / "sample.mp4")


if __name__ == "__main__":
    main()
