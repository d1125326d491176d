"""Sizes of the networks, as data: `configurations.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import VideoMotionError
from .base import Network
from .settings import Settings

FILE = Path(__file__).with_name("configurations.toml")


class ConfigurationError(VideoMotionError):
    """There is no such configuration; the message is one sentence for the user."""


@dataclass(frozen=True)
class Configuration:
    """One entry of the file.

    Attributes:
        name: of the entry.
        network: the module in this folder that defines it.
        settings: its sizes.
        losses: weights of the losses by name.
    """

    name: str
    network: str
    settings: Settings
    losses: Mapping[str, float]

    def build(self, *arguments: Any) -> Network:
        """The network, freshly initialised; arguments are those after the settings."""
        return _module(self.network).NETWORK(self.settings, *arguments)


def names() -> list[str]:
    """All configurations."""
    return list(_entries())


def configuration(name: str) -> Configuration:
    """A configuration by name.

    Raises:
        ConfigurationError: there is none of that name.
    """
    entries = _entries()
    if name not in entries:
        raise ConfigurationError(f"There is no configuration {name}: choose one of {', '.join(entries)}.")
    entry = entries[name]
    module = _module(entry["network"])
    sizes = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.get("sizes", {}).items()}
    return Configuration(name, entry["network"], module.SETTINGS(**sizes), entry["losses"])


def settings_from(network: str, sizes: Mapping[str, Any]) -> Settings:
    """The settings of a network from their saved fields.

    Raises:
        ConfigurationError: there is no such network, or the fields are not those of its settings.
    """
    if network not in {entry["network"] for entry in _entries().values()}:
        raise ConfigurationError(f"There is no network {network}.")
    kind = _module(network).SETTINGS
    if set(sizes) != {item.name for item in fields(kind)}:
        raise ConfigurationError(f"These are not the settings of the current {network}.")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in sizes.items()})


def _module(network: str) -> Any:
    return import_module(f".{network}", __package__)


def _entries() -> dict[str, dict[str, Any]]:
    with FILE.open("rb") as stream:
        tables = tomllib.load(stream)
    shared = tables.pop("losses")
    return {name: {"losses": shared[table["network"]], **table} for name, table in tables.items()}
