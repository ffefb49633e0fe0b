"""Probe a frozen encoder, or the raw input."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.utils import instantiate

from trivium.config import Config, probe_values, without_numerics
from trivium.identity import RAW, finished_folder, measurement_place
from trivium.stages.prepare import open_store
from trivium.stages.tracked import keep, mark_measured, pretrained_on, tell_reuse


def main(values: Config) -> None:
    """Measure what an encoder knows; what is measured already is not measured again."""
    values = probe_values(values)
    if (finished := finished_folder(values, measurement_place)) is not None:
        return tell_reuse(finished, values)
    import torch

    from trivium.features import find_encoder
    from trivium.stages.evaluations import Probing
    from trivium.stages.subject import Subject

    source = None if values["checkpoint"] == RAW else find_encoder(values["checkpoint"])
    torch.set_num_threads(values["num_threads"])
    whole, store = open_store(values)
    values["checkpoint"] = str(source or RAW)
    folder, identity, done = measurement_place(values, store.fingerprint)
    if done and not values["overwrite"]:  # of an encoder that the tracker keeps
        return tell_reuse(folder, values)
    built = without_numerics(values)
    with features_folder(values) as cache:
        subject = Subject.of(source, store, cache)
        probing = Probing(built, subject, store, whole, instantiate(built["probe"]))
        task = store.task(values["task"]) if store.meta.tasks else None
        for one in probing.evaluations():
            own = pretrained_on(source, one.store, task)
            keep(one.evaluation, one.store, folder / one.folder, own, one.name)
    mark_measured(folder, identity)
    return None


@contextmanager
def features_folder(values: Config) -> Iterator[Path]:
    """Where features are cached: for the next probes as well, or for this one alone."""
    folder = Path(values["features"])
    if values["keep_features"]:
        yield folder
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        yield Path(scratch)
