"""Eight training steps of an objective, the features of what was trained, and stores' checksums."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from hydra.utils import instantiate

from . import components, parts, probes

NUM_STEPS = 8
NUM_PROJECTIONS = 8
NUM_ITEMS = 32
"""Test items whose features are recorded."""
NUM_TRAIN, NUM_TEST = 160, 40
Values = dict[str, Any]
"""Names to a number, a text or a list of numbers."""


def measure(component: str, folder: Path) -> tuple[str, Values]:
    """The key (`numerics` numbers) and the values of a component; stores are kept in a folder."""
    torch.set_num_threads(1)
    kind, _, name = component.partition("/")
    if kind == "store":
        settings = components.settings("prepare", [f"data={name}"])
        return components.key_of(settings), checksums(settings["data"], folder)
    if kind in ("probe", "label_free"):
        overrides = ["checkpoint=raw", "data=synthetic_pairs"]
        settings = components.settings("probe", overrides)
        keys = ("data", kind) if name == "protocol" else (kind,)
        store = small_store(settings["data"], folder)
        return components.key_of({one: settings[one] for one in keys}), probes.measure(name, store)
    settings = components.settings("pretrain", components.trained()[component])
    key = components.key_of(settings)
    return key, train(parts.without_numerics(settings), folder)


def train(settings: Mapping[str, Any], folder: Path) -> Values:
    """Losses of eight steps, and norm and projections of the features of the exported encoder.

    A control is fitted in closed form instead: it has no losses.
    """
    store = small_store(settings["data"], folder)
    task = store.task(None)
    torch.manual_seed(0)
    data_spec = store.spec(task)
    encoder = instantiate(settings["encoder"], data=data_spec)
    objective = instantiate(settings["objective"], encoder=encoder, data=data_spec)
    views = _views(settings)
    data = parts.StoreData(
        store,
        batch_size=settings["trainer"]["batch_size"],
        seed=0,
        task=task,
        packed=objective.needs.packed,
        column=getattr(views, "column", None),
        data_fraction=settings["data_fraction"],
    )
    if type(objective).fit is not parts.Objective.fit:
        column = None if objective.paradigm == "control" else data.column
        objective.fit(*_train_values(data, column))
    found: Values = {}
    if objective.paradigm != "control":
        found["losses"] = _losses(objective, views, data, settings)
    encoder = objective.encoder
    if isinstance(encoder, parts.Towers):
        parts.fill_missing(encoder, store, data.items)
    return found | _features(encoder, store, folder)


class Losses(lightning.Callback):
    """The loss of every step."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep it."""
        self.values.append(float(outputs["loss"]))


def _losses(objective: Any, views: Any, data: Any, settings: Mapping[str, Any]) -> list[float]:
    optimizer = dict(settings["optimizer"])
    decay = optimizer.pop("weight_decay")
    module = parts.TrainingModule(
        objective,
        views=views,
        optimiser=instantiate(optimizer),
        schedule=instantiate(settings["schedule"]),
        weight_decay=decay,
        num_steps=NUM_STEPS,
        seed=0,
    )
    losses = Losses()
    trainer = parts.TrainerSettings(**parts.config.decided(settings["trainer"]))
    parts.fit(module, data, trainer, [losses])
    return losses.values


def _features(encoder: Any, store: Any, folder: Path) -> Values:
    """Features of the encoder as it is exported and loaded again; of towers each one's, too."""
    parts.save_encoder(encoder.cpu(), folder / "encoder", {})
    encoder = parts.load_encoder(folder / "encoder")
    items = store.split("test")[:NUM_ITEMS]
    found = described("features", parts.embed(encoder, store, items))
    for one in getattr(encoder, "modalities", ()):
        part = store.part(one)
        own = parts.embed(encoder.tower(one), part, np.arange(NUM_ITEMS))
        with torch.inference_mode():
            joint = encoder.joint(one, torch.from_numpy(own)).numpy()
        found |= described(f"joint features of {one}", joint)
    return found


def described(name: str, features: np.ndarray) -> Values:
    """The norm of a matrix of features, and its products with pairs of fixed random vectors."""
    exact, generator = features.astype(np.float64), np.random.default_rng(0)
    rows = generator.standard_normal((NUM_PROJECTIONS, exact.shape[0]))
    columns = generator.standard_normal((exact.shape[1], NUM_PROJECTIONS))
    return {
        f"{name}: shape": list(features.shape),
        f"{name}: norm": float(np.linalg.norm(exact)),
        f"{name}: projections": np.einsum("pi,ic,cp->p", rows, exact, columns).tolist(),
    }


def _views(settings: Mapping[str, Any]) -> Any:
    chosen = parts.recipe_names(settings)
    made: Any = {one: instantiate(settings["views"][one][name]) for one, name in chosen.items()}
    return parts.MultimodalViews(made) if len(made) > 1 else next(iter(made.values()))


def _train_values(data: Any, column: Any) -> tuple[Any, Any]:
    batch, modality = parts.gather(data.store, data.items, None, column), data.store.meta.modality
    if data.store.parts:
        return parts.modality_inputs_of(batch), None
    return batch.inputs[modality], batch.valid.get(modality)


def small_store(data: Mapping[str, Any], folder: Path) -> Any:
    """A store of a few generated samples, whose facts are not those of the yaml."""
    few = {"num_train": NUM_TRAIN, "num_test": NUM_TEST}
    spec = data["spec"]
    shapes = {
        one: {"shape": spec[one]["shape"]} for one in ("image", "text", "audio") if one in spec
    }
    shapes |= {"shape": spec["shape"]} if "shape" in spec else {}
    name = f"{data['name']}-{data.get('missing', 0)}"
    return parts.prepare({**parts.without_numerics(data), **few, "spec": shapes}, folder / name)


def checksums(data: Mapping[str, Any], folder: Path) -> Values:
    """The sha256 of every array of a small store."""
    small_store(data, folder)
    files = sorted((folder / f"{data['name']}-0").glob("*.npy"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
