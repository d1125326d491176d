"""Parameters and operations of networks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ...body.smpl import Body
from .configurations import Configuration
from .inputs import example
from .tar import Tar


def gflops(call: Callable[[], object]) -> float:
    """Billions of operations, two per multiply-add.

    Counts convolutions, linear layers, matrix products and attention; not activations, normalisations and sampling.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return counter.get_total_flops() / 1e9


def millions(*modules: nn.Module) -> float:
    """Millions of parameters."""
    return sum(part.numel() for module in modules for part in module.parameters()) / 1e6


def size(configuration: Configuration, body: Body) -> tuple[float, float]:
    """Millions of parameters, and GFLOPs per new frame in use: what frames share is computed once."""
    network = configuration.build(body).eval()
    inputs = example(network.needs, network.settings, 1, 0)
    total = 0.0
    if isinstance(network, Tar) and "maps" in inputs:
        maps = inputs.pop("maps")[0]
        total = gflops(lambda: network.encode_local(maps[:1]))
        with torch.no_grad():
            inputs["local"] = network.encode_local(maps)[None]
    return millions(network), total + gflops(lambda: network(**inputs))
