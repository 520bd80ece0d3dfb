"""Builds a model from its kind and options, and tells them of a model: so that a checkpoint describes itself.

The options are plain JSON. Weights are not among them: a model is built blank and its `state_dict` loaded after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

import click
from torch import nn

from streamfilter.errors import ConfigError
from training.networks.encoder import Encoder, EncoderConfig
from training.networks.light import LightConfig, LightController

Config = TypeVar("Config", EncoderConfig, LightConfig)


def build(kind: str, options: Mapping[str, Any]) -> nn.Module:
    """The model that `options_of` described, with fresh weights.

    Raises:
        click.ClickException: the kind or an option is unknown, or has a value that cannot work.
    """
    if kind == "light":
        return LightController(_config(LightConfig, _only(options, "config")))
    if kind == "encoder":
        return _encoder(_only(options, "config", "start"))
    raise click.ClickException(f"no model of kind {kind!r} is known; there are light, encoder")


def kind_of(model: nn.Module) -> str:
    """The kind that builds such a model.

    Raises:
        click.ClickException: none does.
    """
    kinds = {LightController: "light", Encoder: "encoder"}
    if type(model) not in kinds:
        raise click.ClickException(f"a {type(model).__name__} cannot be described; describable are light, encoder")
    return kinds[type(model)]


def options_of(model: nn.Module) -> dict[str, Any]:
    """What `build` needs besides the kind to make such a model, as plain JSON values."""
    kind, options = kind_of(model), {"config": _plain(asdict(model.config))}
    if kind == "encoder":
        start = model.start
        options["start"] = None if start is None else {"kind": kind_of(start), "options": options_of(start)}
    return options


def _encoder(options: Mapping[str, Any]) -> Encoder:
    start = options.get("start")
    return Encoder(
        _config(EncoderConfig, options),
        None if start is None else build(start["kind"], start["options"]),
    )


def _only(options: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    unknown = sorted(set(options) - set(names))
    if unknown:
        raise click.ClickException(f"unknown option {', '.join(unknown)}; known are {', '.join(names)}")
    return options


def _config(kind: type[Config], options: Mapping[str, Any]) -> Config:
    values = _only(options.get("config", {}), *(field.name for field in fields(kind)))
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
