"""What the person of the sample clip does, written down as keyframes and footsteps, and SMPL's θ made from it.

The motion is authored here from nothing; no recording went into it. It is computed in the world of
`inference/README.md` (z up, floor at z = 0, x right and y away as the camera sees it; the camera stands above the
origin) at `RATE` samples per second and then sampled at the frames. Angles in the tables are degrees, lengths metres,
times seconds. A heading of 0 faces the camera, a positive one turns to the camera's right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from video_motion.inference.body import rotations
from video_motion.inference.body.skeleton import JOINT_NAMES
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.motion import Motion

Floats = NDArray[np.float64]

FRAME_RATE = 25
FRAMES = 180
RATE = 200
MARGIN = 1.0

IMAGE_SIZE = (640, 480)
FOCAL = 680.0
CAMERA_HEIGHT = 1.4
CAMERA_PITCH = -5.5

BETAS = (0.45, -0.5, 0.8, -0.4, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0)

PATH = ((-1.50, 5.25), (-0.25, 4.2), (0.1, 3.45))
"""Control points of the quadratic Bézier curve that the person walks along."""

STEPS = (
    ("right", -0.92, -0.92),
    ("left", -0.38, -0.32),
    ("right", 0.16, 0.30),
    ("left", 0.70, 0.92),
    ("right", 1.24, 1.52),
    ("left", 1.80, 2.02),
    ("right", 2.32, 2.04),
)
"""Foot, time at which it lands, how far along the path."""

DOUBLE_SUPPORT = 0.11
HALF_STRIDE_WIDTH = 0.095
TOE_OUT = 7.0

KICK = {
    # time: how far the right ankle is ahead of and above its footprint, pitch of the foot
    5.62: (0.0, 0.0, 0.0),
    5.72: (-0.04, 0.02, 14.0),
    5.90: (0.16, 0.42, 18.0),
    6.08: (0.66, 0.66, 4.0),
    6.24: (0.30, 0.42, 14.0),
    6.44: (0.03, 0.07, 8.0),
    6.56: (0.0, 0.0, 0.0),
}

# fmt: off
KEYS: dict[str, dict[float, float]] = {
    # Trunk.
    "drop": {0: 0, 3.52: 0, 3.70: 0.04, 4.12: 0.38, 4.22: 0.38, 4.72: 0.02, 4.95: 0.03, 5.6: 0.03, 6.6: 0.02, 6.9: 0},
    "hips_back": {3.6: 0, 4.15: 0.17, 4.25: 0.17, 4.75: 0},
    "balance": {0: 0.22, 1.9: 0.22, 2.5: 0.1, 5.45: 0.1, 5.66: 0.92, 6.45: 0.9, 6.75: 0.1},
    "lean": {0: 4, 1.9: 3, 2.4: 0, 3.6: 0, 4.17: 27, 4.8: 2, 5.1: 5, 5.7: 3, 6.05: -12, 6.5: 2, 6.9: -2, 7.2: -3},
    "bend": {0: 3, 2.4: 0, 3.6: 1, 4.17: 20, 4.8: 3, 5.1: 9, 5.6: 6, 6.05: 12, 6.5: 4, 6.95: -9, 7.3: -10},
    "side": {2.2: 0, 2.7: 5, 3.3: 4, 3.7: 0, 5.7: 0, 6.05: -5, 6.5: 0, 6.95: 0, 7.3: 6},
    "turn": {
        2.3: 0, 2.75: -7, 3.3: -6, 3.7: 0, 4.9: -4, 5.02: -10, 5.24: 20, 5.34: 16, 5.54: -12, 5.72: -4, 6.1: 8,
        6.6: 0
    },
    "twist": {
        2.3: 0, 2.75: -6, 3.3: -6, 3.7: 0, 4.85: 0, 5.02: -16, 5.24: 34, 5.34: 26, 5.54: -20, 5.76: 0, 6.1: -14,
        6.6: 0
    },
    "gaze": {0: 55, 0.35: 52, 0.85: -2, 1.25: 6, 2.0: 4, 3.4: 0, 4.6: 0, 6.6: 0, 6.95: -24, 7.3: -28},
    "nod": {0: 2, 0.6: 4, 1.5: 8, 2.2: -2, 2.8: -4, 3.5: 2, 4.17: 2, 4.8: 0, 5.2: 6, 6.5: 4, 6.95: -16, 7.3: -12},
    # Arms: swing forward, lowering from the T-pose, reaching forward in the horizontal, twist, elbow, wrist.
    "left_swing": {
        0: 0, 3.5: 0, 4.15: 103, 4.25: 103, 4.7: 20, 4.95: 28, 5.24: 22, 5.38: 30, 5.52: 88, 5.58: 84, 5.76: 30,
        6.1: -24, 6.6: 0
    },
    "left_lower": {
        0: 77, 2.4: 79, 3.5: 78, 4.15: 84, 4.75: 72, 5.5: 80, 5.8: 70, 6.1: 52, 6.55: 76, 6.62: 74, 7.02: -70,
        7.3: -76
    },
    "left_forward": {0: 0},
    "left_twist": {0: 8, 4.6: 0, 4.95: 10, 6.6: 0, 6.98: -62, 7.3: -66},
    "left_elbow": {
        0: 20, 2.4: 12, 3.5: 14, 4.15: 8, 4.7: 60, 4.95: 122, 5.3: 122, 5.52: 12, 5.58: 20, 5.76: 100, 6.1: 48,
        6.55: 16, 6.9: 30, 7.2: 12
    },
    "left_wrist": {0: 4, 2.5: 8, 4.15: -8, 5.0: 0, 6.9: -10},
    "right_swing": {
        0: 0, 2.2: 0, 2.7: -8, 3.3: -8, 3.65: 0, 4.15: 103, 4.25: 103, 4.7: 22, 4.98: 20, 5.24: 92, 5.32: 88,
        5.5: 34, 5.76: 28, 6.1: 46, 6.6: 0
    },
    "right_lower": {
        0: 77, 2.15: 78, 2.62: 4, 2.9: 0, 3.3: 3, 3.68: 76, 4.15: 84, 4.75: 72, 5.24: 82, 5.5: 72, 5.8: 70, 6.1: 62,
        6.55: 76, 6.62: 74, 7.02: -70, 7.3: -76
    },
    "right_forward": {2.1: 0, 2.65: 22, 3.3: 22, 3.6: 0},
    "right_twist": {0: 8, 2.1: 6, 2.6: -78, 3.3: -80, 3.68: 0, 4.6: 0, 4.95: 10, 6.6: 0, 6.98: -62, 7.3: -66},
    "right_elbow": {
        0: 20, 2.2: 22, 2.62: 92, 2.78: 112, 2.94: 58, 3.10: 112, 3.26: 62, 3.36: 80, 3.7: 14, 4.15: 8, 4.7: 60,
        4.95: 126, 5.08: 130, 5.24: 10, 5.32: 18, 5.5: 116, 5.76: 104, 6.1: 74, 6.55: 16, 6.9: 30, 7.2: 12
    },
    "right_wrist": {0: 4, 2.6: 0, 2.78: 14, 2.94: -14, 3.10: 14, 3.26: -14, 3.6: 4, 5.0: 0, 6.9: -10},
}
# fmt: on

SOFTNESS = {"left_swing": 0.035, "right_swing": 0.035, "left_elbow": 0.03, "right_elbow": 0.03}
"""Standard deviation in seconds of the Gaussian that rounds a channel off; 0.045 for all others."""


def x_turn(degrees: ArrayLike) -> Floats:
    """Rotations (..., 3, 3) about x."""
    return _turn(degrees, 0)


def y_turn(degrees: ArrayLike) -> Floats:
    """Rotations (..., 3, 3) about y."""
    return _turn(degrees, 1)


def z_turn(degrees: ArrayLike) -> Floats:
    """Rotations (..., 3, 3) about z."""
    return _turn(degrees, 2)


def _turn(degrees: ArrayLike, axis: int) -> Floats:
    angles = np.radians(np.asarray(degrees, dtype=float))
    return rotations.axis_angle_to_matrix(angles[..., None] * np.eye(3)[axis])


UPRIGHT = x_turn(90.0)
"""SMPL's body axes (y up, z to the front) to the world's for a person who faces the camera."""


def monotone_cubic(keys: dict[float, float], times: Floats) -> Floats:
    """Values at `times` of the monotone cubic through the keys (Fritsch and Carlson, 1980), constant outside."""
    x, y = np.array(sorted(keys)), np.array([keys[time] for time in sorted(keys)], dtype=float)
    if len(x) == 1:
        return np.full(len(times), y[0])
    step, slope = np.diff(x), np.diff(y) / np.diff(x)
    before, after = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    same = slope[:-1] * slope[1:] > 0
    safe = np.where(same, slope[:-1] * slope[1:], 1.0)
    inner = np.where(same, (before + after) * safe / (before * slope[1:] + after * slope[:-1] + ~same), 0.0)
    tangent = np.concatenate([[0.0], inner, [0.0]])
    time = np.clip(times, x[0], x[-1])
    k = np.clip(np.searchsorted(x, time, side="right") - 1, 0, len(step) - 1)
    u, h = (time - x[k]) / step[k], step[k]
    return (
        (1 + 2 * u) * (1 - u) ** 2 * y[k]
        + u * (1 - u) ** 2 * h * tangent[k]
        + u**2 * (3 - 2 * u) * y[k + 1]
        - u**2 * (1 - u) * h * tangent[k + 1]
    )


def soften(values: Floats, seconds: float) -> Floats:
    """Convolve (n, ...) along time with a Gaussian of that standard deviation; the ends are held."""
    reach = int(np.ceil(4 * seconds * RATE))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (seconds * RATE)) ** 2)
    kernel /= kernel.sum()
    padded = np.concatenate([np.repeat(values[:1], reach, 0), values, np.repeat(values[-1:], reach, 0)])
    flat = padded.reshape(len(padded), -1)
    out = np.empty((len(values), flat.shape[1]))
    for column in range(flat.shape[1]):
        out[:, column] = np.convolve(flat[:, column], kernel, "valid")
    return out.reshape(values.shape)


def minimum_jerk(fraction: Floats) -> Floats:
    """The rest-to-rest course 0 → 1 of least jerk (Flash and Hogan, 1985)."""
    u = np.clip(fraction, 0.0, 1.0)
    return u * u * u * (10.0 - 15.0 * u + 6.0 * u * u)


def along_path(distance: float) -> tuple[Floats, float]:
    """Position (2,) and heading in degrees `distance` metres along `PATH`, straight on beyond its ends."""
    a, b, c = (np.array(point) for point in PATH)
    u = np.linspace(0, 1, 401)[:, None]
    points = (1 - u) ** 2 * a + 2 * u * (1 - u) * b + u**2 * c
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    inside = np.clip(distance, 0, lengths[-1])
    where = np.array([np.interp(inside, lengths, points[:, axis]) for axis in range(2)])
    fraction = np.interp(inside, lengths, u[:, 0])
    tangent = (1 - fraction) * (b - a) + fraction * (c - b)
    tangent /= np.linalg.norm(tangent)
    return where + (distance - inside) * tangent, float(np.degrees(np.arctan2(tangent[0], -tangent[1])))


@dataclass
class Foot:
    """One foot's course over n samples.

    Attributes:
        place: (n, 2) the point of the floor below the ankle when the foot is flat.
        heading: (n,) degrees.
        ahead: (n,) metres that a kick carries it forward.
        lift: (n,) metres above what its pitch alone would do.
        pitch: (n,) degrees, positive with the heel up.
        stands: (n,) whether heel or toes are on the floor.
    """

    place: Floats
    heading: Floats
    ahead: Floats
    lift: Floats
    pitch: Floats
    stands: NDArray[np.bool_]


def feet(times: Floats) -> dict[str, Foot]:
    """Both feet's courses from the footsteps and the kick."""
    out: dict[str, Foot] = {}
    for side, sign in (("left", 1), ("right", -1)):
        steps = [(land, *along_path(distance)) for foot, land, distance in STEPS if foot == side]
        lands = [land for _, land, _ in STEPS]
        stances = []
        for land, centre, course in steps:
            left = np.array([np.cos(np.radians(course)), np.sin(np.radians(course))])
            following = [later for later in lands if later > land + 1e-6]
            # The last step of each foot ends the walk: both feet stay, nearly facing the camera.
            last = land == steps[-1][0]
            leave = times[-1] + 1 if last or not following else following[0] + DOUBLE_SUPPORT
            heading = (0.1 * course if last else course) + sign * TOE_OUT
            stances.append((land, leave, centre + sign * HALF_STRIDE_WIDTH * left, heading))
        place = np.repeat(stances[0][2][None], len(times), 0)
        heading = np.full(len(times), stances[0][3])
        lift = np.zeros(len(times))
        stands = np.zeros(len(times), dtype=bool)
        pitch_keys: dict[float, float] = {}
        for number, (land, leave, where, course) in enumerate(stances):
            stands |= (times >= land) & (times <= leave)
            gentle = number == len(stances) - 1
            pitch_keys |= {land: -6.0 if gentle else -17.0, land + 0.1: 0.0}
            if not gentle:
                pitch_keys |= {leave - 0.24: 0.0, leave: 38.0, leave + 0.09: 48.0}
                next_land, _, next_where, next_course = stances[number + 1]
                pitch_keys[next_land - 0.16] = -4.0
                fraction = (times - leave) / (next_land - leave)
                eased = minimum_jerk(0.93 * np.clip(fraction, 0, 1) + 0.035)
                eased = (eased - eased.min()) / np.ptp(eased)
                moving = fraction > 0
                place[moving] = where + eased[moving, None] * (next_where - where)
                heading[moving] = course + eased[moving] * (next_course - course)
                lift += 0.05 * np.where(
                    (fraction > 0) & (fraction < 1), np.sin(np.pi * np.clip(fraction, 0, 1)) ** 2, 0
                )
        pitch = monotone_cubic(pitch_keys, times)
        ahead = np.zeros(len(times))
        if side == "right":
            parts = [monotone_cubic({time: row[column] for time, row in KICK.items()}, times) for column in range(3)]
            ahead, kick_lift, kick_pitch = (soften(part, 0.03) for part in parts)
            lift, pitch = lift + kick_lift, pitch + kick_pitch
            stands &= (kick_lift < 2e-3) & (np.abs(ahead) < 2e-3)
        out[side] = Foot(place, heading, ahead, lift, pitch, stands)
    return out


def _unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _frame(along: Floats, hinge: Floats) -> Floats:
    """Right-handed axes (..., 3, 3) whose first column is `along` and whose second lies nearest to `hinge`."""
    first = _unit(along)
    second = _unit(hinge - np.sum(first * hinge, axis=-1, keepdims=True) * first)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def bend_leg(hip: Floats, ankle: Floats, hinge: Floats, upper: Floats, lower: Floats) -> tuple[Floats, Floats]:
    """Global rotations of thigh and shin (n, 3, 3) that bring the ankle to its place.

    Args:
        hip: (n, 3) where the thigh starts.
        ankle: (n, 3) where the shin shall end.
        hinge: (n, 3) the knee's axis, to the body's left, so that the knee goes forward.
        upper: (3,) the thigh of the rest pose.
        lower: (3,) the shin of the rest pose.

    Raises:
        ValueError: the leg is too short for its footsteps.
    """
    a, b = np.linalg.norm(upper), np.linalg.norm(lower)
    reach = np.linalg.norm(ankle - hip, axis=1)
    if (reach > a + b).any():
        raise ValueError(f"a leg of {a + b:.3f} m cannot reach {reach.max():.3f} m at sample {reach.argmax()}")
    axes = _frame(ankle - hip, hinge)
    opening = np.arccos(np.clip((a**2 + reach**2 - b**2) / (2 * a * reach), -1, 1))
    thigh = np.cos(opening)[:, None] * axes[..., 0] + np.sin(opening)[:, None] * axes[..., 2]
    shin = ankle - hip - a * thigh
    left = np.array([1.0, 0.0, 0.0])
    return (
        _frame(thigh, hinge) @ _frame(upper, left).T,
        _frame(shin, hinge) @ _frame(lower, left).T,
    )


@dataclass
class Performance:
    """The motion in the world.

    Attributes:
        local: (n, 24, 3, 3) SMPL's rotations, the root's in the world.
        root: (n, 3) position of the root joint, metres.
        contacts: (n, 2) whether the left and right foot stand.
    """

    local: Floats
    root: Floats
    contacts: NDArray[np.bool_]


def perform(body: Body) -> Performance:
    """Act the choreography with a body of shape `BETAS`, one entry per frame of the clip."""
    rest = body.rest_joints(BETAS)
    joint = {name: rest[number] for number, name in enumerate(JOINT_NAMES)}
    times = np.arange(-MARGIN, FRAMES / FRAME_RATE + MARGIN, 1 / RATE)
    channel = {name: soften(monotone_cubic(keys, times), SOFTNESS.get(name, 0.045)) for name, keys in KEYS.items()}
    both = feet(times)
    left, right = both["left"], both["right"]
    ground = float(body.surface.rest(BETAS)[:, 1].min())

    # Pelvis: between the feet, over the one that carries, turned with the stride.
    middle = soften((left.place + right.place) / 2, 0.13)
    carries = soften(np.stack([left.stands, right.stands], 1).astype(float) + 1e-3, 0.09)
    carries /= carries.sum(1, keepdims=True)
    support = soften(carries[:, :1] * left.place + carries[:, 1:] * right.place, 0.06)
    heading = soften((left.heading + right.heading) / 2, 0.16)
    forward = np.stack([np.sin(np.radians(heading)), -np.cos(np.radians(heading))], 1)
    stride = soften(np.sum((left.place - right.place) * forward, axis=1), 0.06)
    place = middle + channel["balance"][:, None] * (support - middle) - channel["hips_back"][:, None] * forward
    sway = carries[:, 0] - carries[:, 1]
    yaw = heading + channel["turn"] - 13.0 * stride
    pelvis = z_turn(yaw) @ UPRIGHT @ x_turn(channel["lean"]) @ z_turn(3.5 * soften(sway, 0.05))

    # Feet, with the heel or the ball as the point they roll over.
    ankles, soles, hinges = {}, {}, {}
    for side, foot in both.items():
        ankle, ball = joint[f"{side}_ankle"], joint[f"{side}_foot"]
        heel = np.array([ankle[0], ground, ankle[2] - 0.045])
        pivot = np.where(foot.pitch[:, None] > 0, ball, heel)
        lever = np.einsum("nij,nj->ni", x_turn(foot.pitch), ankle - pivot) + pivot
        lever -= [ankle[0], ground, ankle[2]]
        lever[:, 2] += foot.ahead
        course = z_turn(foot.heading) @ UPRIGHT
        ankles[side] = np.einsum("nij,nj->ni", course, lever)
        ankles[side][:, :2] += foot.place
        ankles[side][:, 2] += foot.lift
        soles[side] = course @ x_turn(foot.pitch)
        # In a squat the knees go out over the toes and beyond.
        apart = (1 if side == "left" else -1) * 40.0 * channel["drop"]
        hinges[side] = z_turn(0.5 * (foot.heading + yaw) + apart) @ np.array([1.0, 0.0, 0.0])

    # As high as the knees may straighten.
    height = joint["pelvis"][1] - ground - 0.008 - channel["drop"]
    lengths = {
        side: np.linalg.norm(joint[f"{side}_knee"] - joint[f"{side}_hip"])
        + np.linalg.norm(joint[f"{side}_ankle"] - joint[f"{side}_knee"])
        for side in both
    }
    hips = {side: pelvis @ (joint[f"{side}_hip"] - joint["pelvis"]) for side in both}
    for side in both:
        away = place + hips[side][:, :2] - ankles[side][:, :2]
        reach = 0.988 * lengths[side]
        top = np.sqrt(np.maximum(reach**2 - (away**2).sum(1), 0.01)) + ankles[side][:, 2] - hips[side][:, 2]
        height = np.minimum(height, top)
    root = np.concatenate([place, soften(height, 0.05)[:, None] - 0.006], axis=1)

    turned = np.repeat(np.eye(3)[None, None], len(times), 0).repeat(24, 1)
    index = {name: number for number, name in enumerate(JOINT_NAMES)}
    turned[:, 0] = pelvis
    for side in both:
        thigh, shin = bend_leg(
            root + hips[side],
            ankles[side],
            hinges[side],
            joint[f"{side}_knee"] - joint[f"{side}_hip"],
            joint[f"{side}_ankle"] - joint[f"{side}_knee"],
        )
        turned[:, index[f"{side}_hip"]] = pelvis.swapaxes(1, 2) @ thigh
        turned[:, index[f"{side}_knee"]] = thigh.swapaxes(1, 2) @ shin
        turned[:, index[f"{side}_ankle"]] = shin.swapaxes(1, 2) @ soles[side]
        toes = np.clip(both[side].pitch, 0, 50) * np.exp(-((both[side].lift / 0.04) ** 2))
        turned[:, index[f"{side}_foot"]] = x_turn(-soften(toes, 0.02))

    # Spine: the chest turns against the stride; a little breathing.
    breath = 0.8 * np.sin(2 * np.pi * 0.31 * times)
    twist = channel["twist"] + 22.0 * stride
    side_bend = channel["side"] - 2.0 * soften(sway, 0.08)
    for name, share in (("spine1", 0.3), ("spine2", 0.35), ("spine3", 0.35)):
        turned[:, index[name]] = (
            y_turn(share * twist) @ x_turn(share * (channel["bend"] + breath)) @ z_turn(share * side_bend)
        )
    facing = yaw + twist
    look = np.clip(channel["gaze"] + 2.0 * np.sin(2 * np.pi * 0.43 * times) - facing, -68, 68)
    upright = channel["nod"] - 0.75 * (channel["bend"] + channel["lean"])
    for name, share in (("neck", 0.42), ("head", 0.58)):
        turned[:, index[name]] = y_turn(share * look) @ x_turn(share * upright) @ z_turn(-0.3 * share * side_bend)

    # Arms: swung against the legs; the collar bone helps to raise and to reach.
    for side, sign in (("left", 1), ("right", -1)):
        swing = channel[f"{side}_swing"] - sign * 46.0 * stride
        arm = (
            x_turn(-swing)
            @ y_turn(-sign * channel[f"{side}_forward"])
            @ z_turn(-sign * channel[f"{side}_lower"])
            @ x_turn(channel[f"{side}_twist"])
        )
        direction = arm[:, :, 0] * sign
        raised = np.degrees(np.arcsin(np.clip(direction[:, 1], -1, 1)))
        shrug = soften(0.27 * np.maximum(raised + 25, 0), 0.03)
        reach = soften(13.0 * np.maximum(direction[:, 2], 0), 0.03)
        collar = y_turn(-sign * reach) @ z_turn(sign * shrug)
        turned[:, index[f"{side}_collar"]] = collar
        turned[:, index[f"{side}_shoulder"]] = collar.swapaxes(1, 2) @ arm
        elbow = channel[f"{side}_elbow"] + 14.0 * soften(np.maximum(-sign * stride, 0), 0.05)
        turned[:, index[f"{side}_elbow"]] = y_turn(-sign * elbow)
        turned[:, index[f"{side}_wrist"]] = z_turn(-sign * channel[f"{side}_wrist"])

    frames = np.round((MARGIN + np.arange(FRAMES) / FRAME_RATE) * RATE).astype(int)
    return Performance(turned[frames], root[frames], np.stack([left.stands, right.stands], 1)[frames])


def camera_to_world() -> Floats:
    """(4, 4) pose of the camera: x right, y down, z forward."""
    pitch = np.radians(CAMERA_PITCH)
    forward = np.array([0.0, np.cos(pitch), np.sin(pitch)])
    right = np.array([1.0, 0.0, 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[2, 3] = CAMERA_HEIGHT
    return pose


def truth(body: Body) -> Motion:
    """The sample's true motion; what only an estimator knows (landmarks) is zero."""
    betas = np.array(BETAS)
    acted = perform(body)
    pose = camera_to_world()
    local = acted.local.copy()
    local[:, 0] = pose[:3, :3].T @ local[:, 0]
    pelvis = body.rest_joints(betas)[0]
    trans = (acted.root - pose[:3, 3]) @ pose[:3, :3] - pelvis
    poses = rotations.matrix_to_axis_angle(local)
    width, height = IMAGE_SIZE
    K = np.array([[FOCAL, 0, width / 2], [0, FOCAL, height / 2], [0, 0, 1]])
    corners = []
    for start in range(0, FRAMES, 32):
        part = slice(start, start + 32)
        points = body.vertices(poses[part], betas, trans[part]) @ K.T
        pixels = points[..., :2] / points[..., 2:]
        corners.append(np.concatenate([pixels.min(1), np.ptp(pixels, axis=1)], axis=1))
    return Motion(
        timestamps=np.arange(FRAMES) / FRAME_RATE,
        poses_cam=poses,
        trans_cam=trans,
        betas=betas,
        rest_pelvis=pelvis,
        joints_cam=body.joints(poses, betas, trans),
        camera_K=K,
        camera_to_world=np.repeat(pose[None], FRAMES, 0),
        image_size=np.array(IMAGE_SIZE),
        frames=np.arange(FRAMES),
        boxes=np.concatenate(corners),
        scores=np.ones((FRAMES, 24)),
        bridged=np.zeros(FRAMES, dtype=bool),
        contacts=acted.contacts.astype(float),
        landmarks=np.zeros((FRAMES, 33, 3)),
        world_landmarks=np.zeros((FRAMES, 33, 3)),
        estimator="truth",
        provenance={"video": "sample.mp4", "body": body.name, "made_with": "tests/sample/make_sample.py"},
    )
