"""Trains the pose embedding of the part dynamics: 2D views of one 3D pose get embeddings close to each other."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ... import registry
from ...atomic import write_json
from ...body.rotations import axis_angle_to_matrix
from ...body.smpl import Body
from ..networks.embedding import AMONG_MARKERS, Embedding, normalised
from ..networks.torch_body import TorchBody, marker_points, to_global
from . import progress
from .mocap.library import Library
from .synthesis.generate import split_clips
from .trainer import Schedule, TrainingError, save_checkpoint

SAMPLES = 20
"""K, samples of each of two embeddings over which a matching probability is averaged."""

SAME_POSE = 0.1
"""κ: poses nearer than this (NP-MPJPE) match."""

RATIO = 2.0
"""β of the triplet ratio loss."""

POSITIVE_WEIGHT, PRIOR_WEIGHT = 0.005, 0.001
_TILT = math.radians(30)
_DISTANCE = 4.0
_GALLERY = 1500
# Neighbouring frames are nearly the same.
_EVERY = 4


def split_keypoints(library: Library, body: Body, split: str) -> Tensor:
    """(N, 13, 3) keypoints of a split's poses without root rotation, metres."""
    rows = np.concatenate(
        [
            np.arange(int(library.starts[clip]), int(library.starts[clip + 1]), _EVERY)
            for clip in split_clips(library, split)
        ]
    )
    torch_body = TorchBody(body, marker_points(body))
    parts = []
    for part in np.array_split(rows, max(len(rows) // 4096, 1)):
        local = axis_angle_to_matrix(library.poses[part].astype(float))
        local[:, 0] = np.eye(3)
        global_rotations = to_global(torch.from_numpy(local).float())
        betas = torch.zeros(len(part), 10)
        parts.append(
            torch_body.points(global_rotations, torch_body.joints(global_rotations, betas), betas)[:, AMONG_MARKERS]
        )
    return torch.cat(parts)


def random_views(keypoints: Tensor, rng: torch.Generator) -> Tensor:
    """(B, 13, 2) poses (B, 13, 3) in cameras at random azimuths, tilted and rolled by up to 30 degrees."""
    shape = (len(keypoints),)
    azimuth = (2 * torch.rand(shape, generator=rng) - 1) * math.pi
    tilt, roll = ((2 * torch.rand(shape, generator=rng) - 1) * _TILT for _ in range(2))
    rotation = _rotation_about(2, roll) @ _rotation_about(0, tilt) @ _rotation_about(1, azimuth)
    in_camera = keypoints @ rotation.transpose(1, 2)
    return in_camera[..., :2] / (in_camera[..., 2:] + _DISTANCE)


def _rotation_about(axis: int, angle: Tensor) -> Tensor:
    """(B, 3, 3) rotations about one axis."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    matrix = torch.eye(3).repeat(len(angle), 1, 1)
    one, other = (axis + 1) % 3, (axis + 2) % 3
    matrix[:, one, one], matrix[:, one, other] = cos, -sin
    matrix[:, other, one], matrix[:, other, other] = sin, cos
    return matrix


def distances(ours: Tensor, theirs: Tensor) -> Tensor:
    """(...,) NP-MPJPE of poses (..., 13, 3): mean distance of keypoints after the best alignment.

    Poses are scaled so that keypoints have a mean distance of 1 from the midpoint of the hips; the remaining scale,
    rotation and translation are aligned by Procrustes (the measure of the paper's code, in other units).
    """
    flat = [normalised(poses.flatten(0, -3)) for poses in (ours, theirs)]
    one, other = (poses - poses.mean(1, keepdim=True) for poses in flat)
    product = one.transpose(1, 2) @ other
    left, values, right = torch.linalg.svd(product)
    sign = torch.ones(len(one), 3)
    sign[:, 2] = torch.linalg.det(left @ right)
    rotation = (left * sign[:, None]) @ right
    scale = (values * sign).sum(1) / one.square().sum((1, 2)).clamp(min=1e-9)
    difference = scale[:, None, None] * one @ rotation - other
    return difference.square().sum(-1).sqrt().mean(1).unflatten(0, ours.shape[:-2])


def matching(embedding: Embedding, ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> Tensor:
    """(B, C) logarithm of the matching probability of each of B Gaussians (mean, deviation) with each of C.

    The mean over K × K samples (Pr-VIPE).
    """
    one, other = (
        mean[:, None] + deviation[:, None] * torch.randn(len(mean), SAMPLES, mean.shape[1])
        for mean, deviation in (ours, theirs)
    )
    distance = torch.cdist(one.flatten(0, 1), other.flatten(0, 1))
    logarithms = embedding.matching(distance).unflatten(0, (len(one), SAMPLES)).unflatten(2, (len(other), SAMPLES))
    return logarithms.logsumexp((1, 3)) - 2 * math.log(SAMPLES)


def objective(embedding: Embedding, keypoints: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
    """Losses of a batch of poses (B, 13, 3), by name: triplet ratio, positive pairs, and the prior (KL)."""
    views = [embedding(random_views(keypoints, rng)) for _ in range(2)]
    far = -matching(embedding, *views)
    count = len(keypoints)
    with torch.no_grad():
        pairs = distances(keypoints[:, None].expand(-1, count, -1, -1), keypoints[None].expand(count, -1, -1, -1))
        negatives = pairs > SAME_POSE
        positive = far.diagonal()
        # The nearest negative that is farther than the positive; without one, the farthest negative.
        beyond = torch.where(negatives & (far > positive[:, None]), far, torch.inf)
        nearest, column = beyond.min(1)
        fallback = torch.where(negatives, far, -torch.inf).argmax(1)
        column = torch.where(nearest.isfinite(), column, fallback)
        counted = negatives.any(1)
    positive = far.diagonal()
    negative = far.gather(1, column[:, None])[:, 0]
    ratio = (positive - negative + math.log(RATIO)).clamp(min=0)
    mean, deviation = (torch.cat(parts) for parts in zip(*views, strict=True))
    prior = 0.5 * (mean.square() + deviation.square() - 1 - 2 * deviation.log()).sum(1).mean()
    return {
        "ratio": (ratio * counted).sum() / counted.sum().clamp(min=1),
        "positive": positive.mean(),
        "prior": prior,
    }


def retrieval(embedding: Embedding, poses: Tensor, rng: torch.Generator) -> dict[str, float]:
    """Share of poses (N, 13, 3) whose nearest other view shows a matching pose: by the embedding, and by plain 2D.

    Each pose is searched, from one view, among all poses in other views, including itself.
    """
    queries, gallery = (random_views(poses, rng) for _ in range(2))
    with torch.no_grad():
        embedding.eval()
        ours = torch.cdist(embedding(queries)[0], embedding(gallery)[0])
    plain = torch.cdist(normalised(queries).flatten(1), normalised(gallery).flatten(1))
    shares = {}
    for name, distance in (("embedding", ours), ("2D pose", plain)):
        matches = poses[distance.argmin(1)]
        shares[name] = float((distances(poses, matches) <= SAME_POSE).float().mean())
    return shares


def run(options: argparse.Namespace) -> dict[str, float]:
    """Train with the options of `train embedding`; returns the `retrieval` on held-out motions.

    Raises:
        MocapError: the data's library is missing.
        TrainingError: the folder already holds a training.
    """
    checkpoint: Path = options.out / "checkpoint.pt"
    if checkpoint.exists():
        raise TrainingError(f"{options.out} holds another training: name another folder.")
    library, body = Library.load(options.data / "library.npz"), Body.load(registry.body_path())
    poses, held_out = (split_keypoints(library, body, split) for split in ("train", "validation"))
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = torch.Generator().manual_seed(options.seed)
    embedding = Embedding(options.hidden)
    optimizer = torch.optim.Adam(embedding.parameters(), lr=options.rate)
    schedule = Schedule(minutes=options.minutes, rate=options.rate, warm_up=0.0)
    began = time.monotonic()
    step, share = 0, 0.0
    shown = progress.share_bar("training")
    while share < 1:
        rows = torch.randint(len(poses), (options.batch,), generator=rng)
        parts = objective(embedding.train(), poses[rows], rng)
        loss = parts["ratio"] + POSITIVE_WEIGHT * parts["positive"] + PRIOR_WEIGHT * parts["prior"]
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(share)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        share = schedule.share(time.monotonic() - began, step)
        progress.advance(shown, share, step=step, **{name: part.item() for name, part in parts.items()})
    shown.close()
    chosen = torch.linspace(0, len(held_out) - 1, min(_GALLERY, len(held_out))).long()
    measured = retrieval(embedding, held_out[chosen], torch.Generator().manual_seed(1))
    options.out.mkdir(parents=True, exist_ok=True)
    state = {f"module.embedding.{name}": part for name, part in embedding.state_dict().items()}
    save_checkpoint({"averaged": state}, checkpoint)
    content = {"network": "embedding", "hidden": options.hidden, "steps": step, "minutes": options.minutes}
    write_json(options.out / "report.json", {**content, "seed": options.seed, "retrieval": measured})
    return measured
