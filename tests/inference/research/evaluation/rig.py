"""Four made-up cameras around someone, and their calibration in the files of other programs."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from video_motion.inference.research.evaluation.calibration import CalibratedCamera

SIZE = (640, 480)
DISTORTION = np.array([-0.05, 0.13, 0.0006, -0.0007, 0.0])


def around(count: int = 4, radius: float = 4.0) -> list[CalibratedCamera]:
    """Cameras at several heights that look at a point 1 m above the middle of the floor, world z up."""
    cameras = []
    for number in range(count):
        angle = 0.4 + 2 * np.pi * number / count
        place = np.array([radius * np.cos(angle), radius * np.sin(angle), 1.2 + 0.3 * number])
        forward = np.array([0.0, 0, 1.0]) - place
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0, 1.0])
        right /= np.linalg.norm(right)
        turn = np.stack([right, np.cross(forward, right), forward])
        K = np.array([[600.0 + number, 0, 325], [0, 601.0, 236 + number], [0, 0, 1]])
        cameras.append(CalibratedCamera(f"cam{number + 1:02}", SIZE, K, DISTORTION, turn, -turn @ place))
    return cameras


def someone(frames: int = 9) -> np.ndarray:
    """(N, 12, 3) the limb joints of someone who bends and walks, in the world."""
    upright = np.array([[0.2, 1.4], [0.45, 1.35], [0.7, 1.3], [0.1, 0.95], [0.12, 0.5], [0.12, 0.1]])
    points = np.zeros((frames, 12, 3))
    points[:, 0::2, ::2], points[:, 1::2, ::2] = upright, upright * [-1, 1]
    time = np.arange(frames)[:, None] / 25
    points[..., 1] += 0.2 * np.sin(3 * time + np.arange(12))
    points[..., 0] += time
    return points


def write_toml(cameras: Sequence[CalibratedCamera], file: Path) -> None:
    """As Pose2Sim and Anipose write it."""
    lines = []
    for number, camera in enumerate(cameras):
        turn, _ = cv2.Rodrigues(camera.rotation)
        lines += [
            f"[cam_{number}]",
            f'name = "{camera.name}"',
            f"size = [ {float(camera.size[0])}, {float(camera.size[1])}]",
            f"matrix = {camera.K.tolist()}",
            f"distortions = {camera.distortion[:4].tolist()}",
            f"rotation = {turn.ravel().tolist()}",
            f"translation = {camera.translation.tolist()}",
            "fisheye = false",
            "",
        ]
    file.write_text("\n".join([*lines, "[metadata]", "adjusted = false", "error = 0.0", ""]), encoding="utf-8")


def write_qca(cameras: Sequence[CalibratedCamera], file: Path) -> None:
    """As Qualisys Track Manager writes it, with a camera that sees markers only."""
    parts = ['<camera serial="9" model="Oqus 700"/>']
    for camera in cameras:
        turn, place = np.diag([1, -1, -1]) @ camera.rotation, 1000 * camera.position
        rows = " ".join(f'r{a + 1}{b + 1}="{float(turn[a, b])}"' for a in range(3) for b in range(3))
        K, (k1, k2, p1, p2, k3) = 64 * camera.K, camera.distortion
        parts.append(
            f'<camera active="1" serial="{camera.name}" model="Miqus Video">'
            f'<fov_video left="0" top="0" right="{camera.size[0] - 1}" bottom="{camera.size[1] - 1}"/>'
            f'<transform {rows} x="{place[0]}" y="{place[1]}" z="{place[2]}"/>'
            f'<intrinsic focalLengthU="{K[0, 0]}" focalLengthV="{K[1, 1]}" centerPointU="{K[0, 2]}"'
            f' centerPointV="{K[1, 2]}" skew="0" radialDistortion1="{k1}" radialDistortion2="{k2}"'
            f' radialDistortion3="{k3}" tangentalDistortion1="{p1}" tangentalDistortion2="{p2}"/></camera>'
        )
    text = "".join(parts)
    file.write_text(f"<?xml version='1.0'?>\n<calibration><cameras>{text}</cameras></calibration>", encoding="utf-8")
