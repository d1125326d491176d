"""People who dance before a moving camera, of whom everything is known, written down as each tool would."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp
from video_motion.inference.body.smpl import Body
from video_motion.inference.motion.formats.conventions import SMPL_PELVIS, SMPLX_PELVIS, is_smpl

from . import writers

SIZE = (1280, 720)
FRAMES = 14
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Camera space (x right, y down, z forward) to our world of a camera that looks along the floor."""
Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Our world, whose z points up, to one whose y does; x stays."""


@dataclass
class Dancer:
    """Rows are frames.

    Attributes:
        number: what the tool calls the person.
        frames: (N,) frame numbers.
        turns: (N, 24, 3, 3) local rotations, the root's in our world.
        roots: (N, 3) the root joint in our world.
        betas: (10,).
        cameras: (FRAMES, 4, 4) from camera space to our world.
        body: who dances.
    """

    number: int
    frames: np.ndarray
    turns: np.ndarray
    roots: np.ndarray
    betas: np.ndarray
    cameras: np.ndarray
    body: Body

    @property
    def n(self) -> int:
        return len(self.frames)

    def axis_angle(self, axes: np.ndarray) -> np.ndarray:
        """(N, 72) with the root in a world that ``axes`` (3, 3) or (N, 3, 3) turn ours into."""
        turns = self.turns.copy()
        turns[:, 0] = axes @ turns[:, 0]
        return Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_rotvec().reshape(self.n, 72)

    def matrices(self) -> np.ndarray:
        """(N, 24, 3, 3) in camera space."""
        turns = self.turns.copy()
        turns[:, 0] = self.to_camera @ turns[:, 0]
        return turns

    @property
    def to_camera(self) -> np.ndarray:
        return np.swapaxes(self.cameras[self.frames, :3, :3], 1, 2)

    @property
    def roots_cam(self) -> np.ndarray:
        return (self.to_camera @ (self.roots - self.cameras[self.frames, :3, 3])[..., None])[..., 0]

    @property
    def smpl_pelvis(self) -> np.ndarray:
        return self.body.rest_joints(self.betas)[0] if is_smpl(self.body) else SMPL_PELVIS

    def joints(self, betas: np.ndarray) -> np.ndarray:
        """(N, 24, 3) in our world."""
        return self.body.joints(self.turns, betas, self.roots - self.body.rest_joints(betas)[0])


def dancers(body: Body, moving: bool, hands: bool) -> list[Dancer]:
    """Two: one in all frames, one in some. The camera moves only where the tool records it."""
    rng = np.random.default_rng(11)
    times = np.arange(FRAMES)
    cameras = np.tile(np.eye(4), (FRAMES, 1, 1))
    turns = Slerp([0, FRAMES], Rotation.from_euler("YXZ", [[0, 0, 0], [25, -10, 5]], degrees=True))(times)
    cameras[:, :3, :3] = UPRIGHT @ (turns.as_matrix() if moving else np.eye(3))
    cameras[:, :3, 3] = times[:, None] * [0.02, -0.03, 0.01] if moving else 0.0
    found = []
    for number, frames, middle in (
        (3, np.array([2, 3, 4, 7, 8]), (-0.8, 5.0, -0.2)),
        (1, times, (0.7, 4.0, 0.1)),
    ):
        n = len(frames)
        poses = 0.5 * rng.normal(size=(n, 24, 3))
        poses[:, 0] = [np.pi / 2, 0.0, 0.0] + 0.2 * rng.normal(size=(n, 3))
        poses[:, 22:] *= hands
        matrices = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(n, 24, 3, 3)
        roots = np.array(middle) + 0.2 * rng.normal(size=(n, 3))
        found.append(Dancer(number, frames, matrices, roots, 0.7 * rng.normal(size=10), cameras, body))
    return found


def vibe(path: Path, people: list[Dancer], pack: writers.Pack | None = None, without: tuple[str, ...] = ()) -> Path:
    content = {}
    width, height = SIZE
    for who in people:
        place = who.roots_cam - who.smpl_pelvis
        scale = 2.0 * np.hypot(*SIZE) / (place[:, 2] * width)
        box = np.tile([700.0, 300.0, 250.0, 250.0], (who.n, 1)) + np.arange(who.n)[:, None] * [3, 1, 2, 2]
        side = box[:, 2]
        crop = scale * width / side
        orig = np.stack([scale, crop * side / height, place[:, 0], place[:, 1]], axis=1)
        away = np.stack(
            [(box[:, 0] - width / 2) / (width / 2) / orig[:, 0], (box[:, 1] - height / 2) / (height / 2) / orig[:, 1]],
            axis=1,
        )
        track = {
            "pred_cam": np.concatenate([crop[:, None], orig[:, 2:] - away], axis=1).astype(np.float32),
            "orig_cam": orig.astype(np.float32),
            "verts": np.zeros((who.n, 20, 3), np.float32),
            "pose": who.axis_angle(who.to_camera).astype(np.float32),
            "betas": np.tile(who.betas, (who.n, 1)).astype(np.float32),
            "joints3d": np.zeros((who.n, 49, 3), np.float32),
            "joints2d": None,
            "bboxes": box,
            "frame_ids": who.frames,
        }
        content[who.number] = {name: array for name, array in track.items() if name not in without}
    return writers.write_joblib(path, content, pack)


def wham(path: Path, people: list[Dancer], without: tuple[str, ...] = ()) -> Path:
    from collections import defaultdict

    content: dict[int, dict[str, Any]] = defaultdict(dict)
    for who in people:
        joints = who.joints(who.betas if is_smpl(who.body) else np.zeros(10))
        track = {
            "pose": who.axis_angle(who.to_camera),
            "trans": who.roots_cam - who.smpl_pelvis,
            "pose_world": who.axis_angle(Y_UP),
            "trans_world": joints[:, 1:3].mean(axis=1) @ Y_UP.T,
            "betas": np.tile(who.betas, (who.n, 1)),
            "verts": np.zeros((who.n, 20, 3)),
            "frame_ids": who.frames,
        }
        for name, array in track.items():
            if name not in without:
                content[who.number][name] = array if name == "frame_ids" else array.astype(np.float32)
    return writers.write_joblib(path, content)


def phalp(path: Path, people: list[Dancer]) -> Path:
    content = {}
    for frame in range(FRAMES):
        lists: dict[str, list] = {
            name: []
            for name in ("tid", "tracked_ids", "tracked_time", "smpl", "camera", "size", "bbox", "center", "mask")
        }
        for who in people:
            if frame < who.frames[0]:
                continue
            row = int(np.searchsorted(who.frames, frame, side="right")) - 1
            shown = bool(frame == who.frames[row])
            turns = who.matrices()[row].astype(np.float32)
            # What is predicted for hidden people is wrong, so that it is seen if it is taken.
            wrong = 0.0 if shown else 1.0
            lists["tid"].append(who.number)
            if shown:
                lists["tracked_ids"].append(who.number)
            lists["tracked_time"].append(0 if shown else 1)
            lists["smpl"].append(
                {"global_orient": turns[:1], "body_pose": turns[1:], "betas": who.betas.astype(np.float32)}
            )
            lists["camera"].append((who.roots_cam[row] - who.smpl_pelvis + wrong).astype(np.float32))
            lists["size"].append([SIZE[1], SIZE[0]])
            lists["bbox"].append(np.array([10.0, 20.0, 100.0, 300.0]))
            lists["center"].append(np.array([60.0, 170.0]))
        content[f"outputs/img/{frame + 1:06d}.jpg"] = {"time": frame, "shot": 0, **lists}
    return writers.write_joblib(path, content)


def _smplx(who: Dancer, world: bool) -> dict[str, np.ndarray]:
    poses = who.axis_angle(Y_UP if world else who.to_camera)
    place = who.roots @ Y_UP.T if world else who.roots_cam
    return {
        "body_pose": poses[:, 3:66],
        "betas": np.tile(who.betas, (who.n, 1)),
        "global_orient": poses[:, :3],
        "transl": place - SMPLX_PELVIS,
    }


def intrinsics() -> np.ndarray:
    return np.array([[np.hypot(*SIZE), 0, SIZE[0] / 2], [0, np.hypot(*SIZE), SIZE[1] / 2], [0, 0, 1.0]])


def gvhmr(
    path: Path,
    people: list[Dancer],
    name: str = "smpl_params",
    as_zip: bool = True,
    without: tuple[str, ...] = (),
) -> Path:
    import torch

    (who,) = [who for who in people if who.n == FRAMES]

    def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        return {name: torch.tensor(array, dtype=torch.float32) for name, array in arrays.items()}

    content = {
        f"{name}_global": tensors(_smplx(who, True)),
        f"{name}_incam": tensors(_smplx(who, False)),
        "K_fullimg": torch.tensor(intrinsics(), dtype=torch.float32).expand(FRAMES, 3, 3),
        "net_outputs": {"half": torch.ones(3, dtype=torch.float16), "brain": torch.ones(3, dtype=torch.bfloat16)},
        "segment_info": [{"type": "video", "start": 0}],
    }
    return writers.write_torch(path, {key: part for key, part in content.items() if key not in without}, as_zip)


def gem(path: Path, people: list[Dancer]) -> Path:
    return gvhmr(path, people, "body_params")


def tram(path: Path, people: list[Dancer], camera: bool = True) -> Path:
    import torch

    folder = path.parent / path.stem
    for number, who in enumerate(people):
        content = {
            "pred_cam": torch.zeros(who.n, 3),
            "pred_shape": torch.tensor(np.tile(who.betas, (who.n, 1)), dtype=torch.float32),
            "pred_rotmat": torch.tensor(who.matrices(), dtype=torch.float32),
            "pred_trans": torch.tensor(who.roots_cam - who.smpl_pelvis, dtype=torch.float32)[:, None],
            "frame": torch.from_numpy(who.frames),
        }
        writers.write_npy(folder / "hps" / f"hps_track_{number}.npy", content)
    if camera:
        to_first = UPRIGHT.T @ people[0].cameras[:, :3]
        content = {
            "pred_cam_R": to_first[:, :, :3].astype(np.float32),
            "pred_cam_T": to_first[:, :, 3].astype(np.float32),
            "img_focal": np.float64(np.hypot(*SIZE)),
            "img_center": np.array(SIZE) / 2,
        }
        writers.write_npy(folder / "camera.npy", content)
    return folder / "hps" / "hps_track_1.npy"


def aist(path: Path, people: list[Dancer], scaling: float = 93.7) -> Path:
    (who,) = [who for who in people if who.n == FRAMES]
    pelvis = who.body.rest_joints(np.zeros(10))[0] if is_smpl(who.body) else SMPL_PELVIS
    content = {
        "smpl_loss": 0.1,
        "smpl_poses": who.axis_angle(Y_UP).astype(np.float32),
        "smpl_scaling": np.array([scaling], np.float32),
        "smpl_trans": (scaling * (who.roots @ Y_UP.T - pelvis)).astype(np.float32),
    }
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def prompthmr(path: Path, people: list[Dancer], without: tuple[str, ...] = ()) -> Path:
    tracks = {}
    for who in people:
        in_camera, in_world = _smplx(who, False), _smplx(who, True)
        poses = np.concatenate([in_world["global_orient"], in_world["body_pose"], np.zeros((who.n, 99))], axis=1)
        matrices = np.concatenate([who.matrices()[:, :22], np.tile(np.eye(3), (who.n, 33, 1, 1))], axis=1)
        track = {
            "frames": who.frames,
            "track_id": who.number,
            "bboxes": np.zeros((who.n, 4)),
            "smplx_cam": {"rotmat": matrices, "shape": in_camera["betas"], "trans": in_camera["transl"][:, None]},
            "smplx_world": {"pose": poses, "shape": in_world["betas"], "trans": in_world["transl"]},
        }
        tracks[who.number] = {name: part for name, part in track.items() if name not in without}
    to_world = Y_UP @ people[0].cameras[:, :3]
    to_camera = np.swapaxes(to_world[:, :, :3], 1, 2)
    camera = {
        "Rcw": to_camera.astype(np.float32),
        "Tcw": -(to_camera @ to_world[:, :, 3:])[..., 0].astype(np.float32),
        "img_focal": float(np.hypot(*SIZE)),
        "img_center": np.array(SIZE) / 2,
    }
    content = {
        "people": tracks,
        "camera_world": camera,
        "timings": {},
        "has_slam": True,
        "masks": np.zeros((2, 4), "?"),
    }
    return writers.write_joblib(path, content)


@dataclass(frozen=True)
class Tool:
    """How a tool writes, and what it records.

    Attributes:
        name: in ``provenance``.
        write: writes the people to a file and gives it.
        smplx: whether its body is SMPL-X.
        moving: whether it records the camera's motion.
        filmed: whether it records the camera.
        alone: whether a file holds one person.
        focal: in pixels.
    """

    name: str
    write: Callable[[Path, list[Dancer]], Path]
    smplx: bool = False
    moving: bool = False
    filmed: bool = True
    alone: bool = False
    focal: float = float(np.hypot(*SIZE))


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("VIBE", vibe),
        Tool("WHAM", wham, moving=True, filmed=False),
        Tool("4D-Humans", phalp, focal=5000 / 256 * max(SIZE)),
        Tool("GVHMR", gvhmr, smplx=True, moving=True, alone=True),
        Tool("GEM", gem, smplx=True, moving=True, alone=True),
        Tool("TRAM", tram, moving=True, alone=True),
        Tool("PromptHMR", prompthmr, smplx=True, moving=True),
    )
}
