"""Random appearances: clothes with folds and patterns, skin, hair, skirts, as colours and offsets of vertices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....body.skeleton import JOINT_NAMES, LANDMARK_NAMES
from ....body.smpl import Body

# BGR of fair and dark skin; people lie between, a little redder or yellower.
SKIN_COLOURS = np.array([[185, 205, 238], [150, 180, 225], [105, 140, 195], [60, 90, 145], [35, 50, 85]], float) / 255
HAIR_COLOURS = (
    np.array([[20, 22, 28], [30, 45, 70], [60, 95, 140], [110, 165, 200], [150, 150, 155], [25, 40, 110]], float) / 255
)
# Validation has a pattern that training lacks, and the reverse.
PATTERNS = {"train": ("plain", "stripes", "patches", "print"), "validation": ("plain", "checks", "patches")}

# Side of the grid's cells in which meshes are simplified, metres.
_CELL = 0.009


def _joints(*parts: str) -> list[int]:
    return [number for number, name in enumerate(JOINT_NAMES) if any(part in name for part in parts)]


@dataclass
class DressedBody:
    """A dressed person: the body's mesh with added garments and hair.

    Attributes:
        rest: (V, 3) rest vertices, metres.
        normals: (V, 3) their outward normals.
        weights: (V, 24) skinning weights.
        colours: (V, 3) BGR from 0 to 1, before light.
        faces: (F, 3).
        shine: strength of specular reflection.
    """

    rest: np.ndarray
    normals: np.ndarray
    weights: np.ndarray
    colours: np.ndarray
    faces: np.ndarray
    shine: float


def dress(body: Body, betas: np.ndarray, split: str, rng: np.random.Generator) -> DressedBody:
    """A person of shape `betas` (10,) in random clothes."""
    rest = body.surface.rest(betas)
    normals = normals_of(rest, body.faces)
    bone = body.weights.argmax(1)
    joints = body.rest_joints(betas)
    skin = blend(SKIN_COLOURS, rng) * rng.uniform(0.9, 1.1, 3)
    colours = np.clip(skin + 0.02 * patches(rest, 6, rng), 0, 1)
    thickness = np.zeros(len(rest))

    def wear(where: np.ndarray, colour: np.ndarray, loose: float) -> None:
        colours[where] = colour[where]
        thickness[where] = np.maximum(thickness[where], loose)

    patterns = PATTERNS[split]
    waist = joints[JOINT_NAMES.index("spine1"), 1] + rng.uniform(-0.06, 0.05)
    trunk = np.isin(bone, _joints("pelvis", "spine", "collar"))
    legs = np.isin(bone, _joints("hip", "knee", "pelvis", "spine")) & (rest[:, 1] < waist)
    knee = joints[JOINT_NAMES.index("left_knee"), 1]
    ankle = joints[JOINT_NAMES.index("left_ankle"), 1]
    hem = rng.choice([ankle + 0.02, rng.uniform(ankle, knee), rng.uniform(knee, knee + 0.3)], p=[0.65, 0.1, 0.25])
    trousers = legs & (rest[:, 1] > hem)
    wear(trousers, cloth(rest, patterns, rng), rng.choice([0.004, 0.012, 0.03], p=[0.35, 0.4, 0.25]))
    reach = np.abs(rest[:, 0])
    wrist = abs(joints[JOINT_NAMES.index("left_wrist"), 0])
    shoulder = abs(joints[JOINT_NAMES.index("left_shoulder"), 0])
    cuff = rng.choice([wrist, shoulder + rng.uniform(0.05, 0.25), shoulder - 0.03], p=[0.45, 0.4, 0.15])
    arms = np.isin(bone, _joints("shoulder", "elbow", "collar")) & (reach < cuff)
    collar = joints[JOINT_NAMES.index("neck"), 1] + rng.uniform(-0.06, 0.02)
    shirt = (trunk | arms) & ~(legs & (rest[:, 1] < waist)) & (rest[:, 1] < np.maximum(collar, arms * 9))
    wear(shirt, cloth(rest, patterns, rng), rng.choice([0.004, 0.012, 0.025], p=[0.35, 0.4, 0.25]))
    if rng.random() < 0.9:
        wear(np.isin(bone, _joints("ankle", "foot")), cloth(rest, ("plain",), rng), 0.006)
    hair = hair_of(body, betas, rest, bone, rng)
    shade = blend(HAIR_COLOURS, rng) * rng.uniform(0.7, 1.2)
    thick = rng.choice([0.004, 0.02, 0.04], p=[0.3, 0.5, 0.2])
    wear(hair, np.clip(shade + 0.12 * patches(rest, 40, rng), 0, 1), thick)
    paint_face(body, betas, rest, bone, colours, shade)

    folds = 1 + 0.6 * patches(rest, rng.uniform(3, 9), rng)[:, 0]
    rest = rest + normals * (soften(thickness, body) * np.clip(folds, 0.2, 2))[:, None]
    shine = float(rng.choice([0.0, rng.uniform(0.1, 0.5)]))
    dressed = DressedBody(rest, normals, body.weights, colours, body.faces, shine)
    if rng.random() < 0.12:
        dressed = _with_skirt(dressed, joints, waist, cloth(np.zeros((1, 3)), ("plain",), rng)[0], rng)
    if rng.random() < 0.3:
        dressed = _with_long_hair(dressed, joints, shade, rng)
    rest, weights, colours, faces = simplified(dressed.rest, dressed.weights, dressed.colours, dressed.faces)
    return DressedBody(rest, normals_of(rest, faces), weights, colours, faces, shine)


def blend(table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(3,) a random colour between those of a table (n, 3)."""
    position = rng.uniform(0, len(table) - 1)
    low = int(position)
    return table[low] + (position - low) * (table[min(low + 1, len(table) - 1)] - table[low])


def patches(rest: np.ndarray, frequency: float, rng: np.random.Generator) -> np.ndarray:
    """(V, 3) noise over the surface, of about unit size, with `frequency` bumps per metre."""
    total = np.zeros((len(rest), 3))
    for octave in range(3):
        waves = rng.normal(0, frequency * 2**octave, (3, 4)) * 2.0
        phases = rng.uniform(0, 2 * np.pi, (4,))
        mix = rng.normal(0, 0.7**octave, (4, 3)) * 0.5
        total += np.sin(rest @ waves + phases) @ mix
    return total


def cloth(rest: np.ndarray, patterns: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    """(V, 3) colours of a garment."""

    def dye() -> np.ndarray:
        grey = rng.uniform(0.05, 0.95)
        return np.clip(grey + rng.normal(0, rng.choice([0.03, 0.22]), 3), 0.02, 1)

    base = np.broadcast_to(dye(), rest.shape).copy()
    kind = patterns[rng.integers(len(patterns))]
    other = dye()
    if kind in ("stripes", "checks"):
        width = rng.uniform(0.015, 0.09)
        level = np.sin(rest[:, 1] / width * np.pi) > 0
        if kind == "checks":
            level ^= np.sin(rest[:, 0] / width * np.pi) > 0
        base[level] = other
    elif kind == "patches":
        share = np.clip(0.5 + 0.5 * patches(rest, rng.uniform(2, 12), rng)[:, :1], 0, 1)
        base += share * (other - base)
    elif kind == "print":
        centre = rng.normal([0, 0.1, 0.1], 0.08)
        base[np.linalg.norm((rest - centre) * [1, 1, 0.4], axis=1) < rng.uniform(0.04, 0.12)] = other
    return np.clip(base + 0.05 * patches(rest, 15, rng)[:, :1], 0.01, 1)


def hair_of(body: Body, betas: np.ndarray, rest: np.ndarray, bone: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(V,) which vertices have hair."""
    marks: dict[str, np.ndarray] = dict(zip(LANDMARK_NAMES, body.rest_landmarks(betas), strict=True))
    head = bone == JOINT_NAMES.index("head")
    eyes = (marks["left_eye"] + marks["right_eye"]) / 2
    ears = (marks["left_ear"] + marks["right_ear"]) / 2
    brow = eyes[1] + rng.uniform(0.04, 0.065)
    behind = rest[:, 2] < ears[2] + (rest[:, 1] - ears[1]) * rng.uniform(0.2, 0.5)
    nape = marks["nose"][1] - rng.uniform(0.0, 0.06)
    hair = head & ((rest[:, 1] > brow + 0.02) | (behind & (rest[:, 1] > nape)))
    if rng.random() < 0.08:
        return head & False
    if rng.random() < 0.2:
        chin = head & (rest[:, 1] < marks["mouth_left"][1] + 0.004) & (rest[:, 2] > ears[2])
        hair |= chin & (np.linalg.norm(rest - (marks["mouth_left"] + marks["mouth_right"]) / 2, axis=1) > 0.022)
    return hair


def paint_face(
    body: Body,
    betas: np.ndarray,
    rest: np.ndarray,
    bone: np.ndarray,
    colours: np.ndarray,
    hair: np.ndarray,
    lips_too: bool = True,
) -> None:
    """Paint eyes, brows and lips into colours (V, 3); `hair` is the brows' colour."""
    marks: dict[str, np.ndarray] = dict(zip(LANDMARK_NAMES, body.rest_landmarks(betas), strict=True))
    head = bone == JOINT_NAMES.index("head")
    mouth = (marks["mouth_left"] + marks["mouth_right"]) / 2
    for side in ("left", "right"):
        eye = marks[f"{side}_eye"]
        colours[head & (np.linalg.norm((rest - eye) * [0.75, 1.4, 1], axis=1) < 0.013)] = [0.12, 0.12, 0.14]
        brow = eye + np.array([0, 0.022, 0])
        colours[head & (np.linalg.norm((rest - brow) * [0.5, 2.2, 1], axis=1) < 0.013)] = hair * 0.8
    if not lips_too:
        return
    lips = head & (np.linalg.norm((rest - mouth) * [0.55, 1.8, 1], axis=1) < 0.016)
    colours[lips] = colours[lips] * [0.6, 0.55, 0.9]


def soften(values: np.ndarray, body: Body) -> np.ndarray:
    """Values (V,) averaged with their neighbours', so that garments have soft edges."""
    edges = np.concatenate([body.faces[:, [0, 1]], body.faces[:, [1, 2]], body.faces[:, [2, 0]]])
    count = np.bincount(edges[:, 0], minlength=len(values)) + 1
    return (values + np.bincount(edges[:, 0], values[edges[:, 1]], minlength=len(values))) / count


def normals_of(rest: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) outward normals of a mesh."""
    corners = rest[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack(
        [
            sum(np.bincount(faces[:, corner], across[:, axis], minlength=len(rest)) for corner in range(3))
            for axis in range(3)
        ],
        axis=1,
    )
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def simplified(
    rest: np.ndarray, weights: np.ndarray, colours: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A mesh (V, 3) with weights (V, 24) and colours (V, 3) whose vertices in one cell of a grid are merged.

    The detector sees people a centimetre per pixel: finer meshes cost time and show nothing more.
    """
    used, faces = np.unique(faces, return_inverse=True)
    faces = faces.reshape(-1, 3)
    rest, weights, colours = rest[used], weights[used], colours[used]
    cells = np.round(rest / _CELL).astype(np.int64) + 2**20
    key = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
    _, merged, counts = np.unique(key, return_inverse=True, return_counts=True)
    order = np.argsort(merged, kind="stable")
    starts = np.cumsum([0, *counts[:-1]])
    means = (np.add.reduceat(values[order], starts) / counts[:, None] for values in (rest, weights, colours))
    rest, weights, colours = means
    faces = merged[faces]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    _, once = np.unique(np.sort(faces, axis=1) @ [len(rest) ** 2, len(rest), 1], return_index=True)
    return rest, weights, colours, faces[once]


def _add_tube(
    dressed: DressedBody, rows: np.ndarray, weights: np.ndarray, colour: np.ndarray, closed: bool
) -> DressedBody:
    """The body with a tube of rings (R, C, 3) added, skinned with weights (R, C, 24)."""
    rings, around, _ = rows.shape
    number = np.arange(rings * around).reshape(rings, around)
    right = np.roll(number, -1, axis=1)
    above, below = number[:-1].ravel(), number[1:].ravel()
    above_right, below_right = right[:-1].ravel(), right[1:].ravel()
    faces = np.concatenate([np.stack([above, below, above_right], 1), np.stack([above_right, below, below_right], 1)])
    # Cloth is visible from both sides.
    faces = np.concatenate([faces, faces[:, ::-1]]) if not closed else faces
    return DressedBody(
        np.concatenate([dressed.rest, rows.reshape(-1, 3)]),
        np.concatenate([dressed.normals, np.zeros((rows.size // 3, 3))]),
        np.concatenate([dressed.weights, weights.reshape(-1, 24)]),
        np.concatenate([dressed.colours, np.broadcast_to(colour, (rows.size // 3, 3))]),
        np.concatenate([dressed.faces, faces + len(dressed.rest)]),
        dressed.shine,
    )


def _with_skirt(
    dressed: DressedBody, joints: np.ndarray, waist: float, colour: np.ndarray, rng: np.random.Generator
) -> DressedBody:
    length, wide = rng.uniform(0.3, 0.75), rng.uniform(0.05, 0.22)
    down = np.linspace(0, 1, 9)[:, None]
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    radius = 0.175 + wide * down + 0.02 * down * np.sin(angle * rng.integers(5, 10))
    hips = joints[[1, 2]].mean(0)
    rows = np.stack(
        [hips[0] + radius * np.cos(angle), waist - length * down + 0 * angle, hips[2] + 0.8 * radius * np.sin(angle)],
        -1,
    )
    weights = np.zeros((*rows.shape[:2], 24))
    swing = np.clip(down * 1.4, 0, 0.85)
    left = 0.5 + 0.5 * np.clip((rows[..., 0] - hips[0]) / 0.12, -1, 1)
    weights[..., 1], weights[..., 2], weights[..., 0] = swing * left, swing * (1 - left), 1 - swing
    return _add_tube(dressed, rows, weights, colour, closed=False)


def _with_long_hair(
    dressed: DressedBody, joints: np.ndarray, colour: np.ndarray, rng: np.random.Generator
) -> DressedBody:
    head, neck = joints[JOINT_NAMES.index("head")], joints[JOINT_NAMES.index("neck")]
    length = rng.uniform(0.12, 0.42)
    down = np.linspace(0, 1, 8)[:, None]
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    radius = (0.085 - 0.03 * down) * rng.uniform(0.8, 1.15) * np.sqrt(np.clip(1.02 - (2 * down - 1) ** 6, 0, 1))
    top = head + np.array([0, 0.13, -0.045])
    rows = np.stack(
        [
            top[0] + radius * np.cos(angle),
            top[1] - (length + 0.05) * down + 0 * angle,
            top[2] - 0.03 * down + 0.55 * radius * np.sin(angle),
        ],
        -1,
    )
    weights = np.zeros((*rows.shape[:2], 24))
    hangs = np.clip((neck[1] + 0.05 - rows[..., 1]) / 0.15, 0, 1)
    weights[..., JOINT_NAMES.index("head")] = 1 - hangs
    weights[..., JOINT_NAMES.index("spine3")] = hangs
    return _add_tube(dressed, rows, weights, np.clip(colour, 0, 1), closed=True)
