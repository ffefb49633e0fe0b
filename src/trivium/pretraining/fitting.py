"""Training itself: Lightning's trainer with everything that watches it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytorch_lightning as lightning

from trivium.pretraining.callbacks.cost import Cost
from trivium.pretraining.callbacks.language import LanguageMeasures, is_language_model
from trivium.pretraining.callbacks.looks import Looks
from trivium.pretraining.callbacks.online_probe import OnlineProbe
from trivium.pretraining.callbacks.pictures import Pictures
from trivium.pretraining.callbacks.progress import ProgressBar
from trivium.pretraining.callbacks.recorder import NUM_POINTS, Recorder
from trivium.pretraining.callbacks.sentinels import Sentinels
from trivium.pretraining.checkpoints import AtomicCheckpointIO, Resumable
from trivium.pretraining.data import StoreData
from trivium.pretraining.folder import RunFolder
from trivium.pretraining.module import Pretraining
from trivium.pretraining.price import Price
from trivium.pretraining.training import run_trainer
from trivium.tracking.lifecycle import install_sigterm
from trivium.tracking.writer import RunWriter

if TYPE_CHECKING:
    from trivium.pretraining.run import Recipe


@dataclass(frozen=True)
class Watch:
    """What was seen of a training that ended; `language`: a language model's last measures.

    `film`: what each look of the online probe saw, see `Looks.film`.
    """

    num_steps: int
    final: dict[str, float]
    curves: dict[str, Any]
    language: dict[str, float] | None
    ledger: dict[str, Any]
    film: dict[str, Any] | None


def fit(
    module: Pretraining,
    recipe: "Recipe",
    data: StoreData,
    folder: RunFolder,
    *,
    price: Price,
    writer: RunWriter,
) -> Watch:
    """Train to the end of the budget, from the folder's checkpoint if there is one."""
    settings, monitor = recipe.trainer, recipe.monitor
    cost = Cost(stream=data.stream, batch_size=settings.batch_size)
    recorder = Recorder(
        every=max(1, -(-module.num_steps // NUM_POINTS)) if module.num_steps else 10,
        price=price,
        samples_per_step=settings.batch_size,
        writer=writer,
        tokens=data.tokens if data.store.meta.modality == "text" else None,
    )
    probe = OnlineProbe(
        store=data.store,
        task=recipe.task,
        num_items=monitor.num_items,
        num_glances=monitor.num_glances,
        seed=0,
        writer=writer,
    )
    sentinels = Sentinels(recorder=recorder, probe=probe, **vars(monitor.sentinels))
    bar = ProgressBar(label=folder.path.name, batch_size=settings.batch_size)
    resumable = Resumable(
        path=folder.checkpoint,
        seconds=settings.checkpoint_seconds,
        steps=settings.checkpoint_steps,
        run_id=writer.run_id,
    )
    looks = Looks(probe=probe, price=price)
    watchers: list[lightning.Callback] = [cost, recorder, probe, looks, sentinels, bar]
    language = None
    if is_language_model(recipe.objective):
        language = LanguageMeasures(probe=probe, writer=writer)
        watchers.append(language)
    if monitor.pictures:
        watchers.append(Pictures(folder=folder.path / "pictures", probe=probe, writer=writer))
    install_sigterm(writer)
    num_steps = run_trainer(
        module,
        data,
        settings,
        [*watchers, resumable],
        plugins=[AtomicCheckpointIO()],
        checkpoint=folder.checkpoint if folder.resumable else None,
    )
    curves = {**recorder.curves(), "monitor": probe.history}
    if language is not None:
        curves["language"] = language.curves()
    return Watch(
        num_steps=num_steps,
        final={name: values[-1] for name, values in recorder.terms.items() if values},
        curves=curves,
        language=None if language is None else language.last(),
        ledger=cost.ledger(),
        film=looks.film(),
    )
