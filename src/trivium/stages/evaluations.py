"""What the probe stage measures, one evaluation at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

import numpy as np
from hydra.utils import instantiate

from trivium.config import Config
from trivium.data.store import Store
from trivium.evaluation import controls
from trivium.evaluation.checks import Features
from trivium.evaluation.examples import examples
from trivium.evaluation.label_free import LabelFree, Sensitivity, with_label_free, with_sensitivity
from trivium.evaluation.linear_retrieval import evaluate_linear_retrieval
from trivium.evaluation.pair_search import search
from trivium.evaluation.pairs import evaluate_retrieval
from trivium.evaluation.protocol import Protocol, evaluate
from trivium.evaluation.results import Evaluation
from trivium.evaluation.zero_shot import zero_shot
from trivium.features import embed, embed_layers, embed_views
from trivium.stages.subject import Subject
from trivium.types import Encoder, Modality

Tables: TypeAlias = Mapping[Modality, tuple[Features, Config]]
"""Features of every row of each part, and the facts of what made them."""
FUSED = "fused"


class Measured(NamedTuple):
    """One evaluation, the store whose items it is of, its folder below the probe's, and its name.

    The name sets it apart from other evaluations of the same task; it is empty of the only one.
    """

    evaluation: Evaluation
    store: Store
    folder: Path
    name: str = ""


@dataclass(frozen=True)
class Probing:
    """A frozen encoder or the raw input on a store, which may be a part of a `whole`."""

    values: Config
    subject: Subject
    store: Store
    whole: Store
    protocol: Protocol

    def evaluations(self) -> Iterator[Measured]:
        """All that the settings ask for."""
        raw_or_several = self.subject.source is None or "+" in self.subject.facts["modality"]
        if self.store.parts and raw_or_several:
            return self.multimodal()
        return self.unimodal()

    def unimodal(self) -> Iterator[Measured]:
        """Each task; of a part, if the whole has texts, how well a linear map finds them."""
        main = self.store.task(self.values["task"])
        modality = cast(Modality, self.store.meta.modality)
        more = [self.store.task(one) for one in self.values["more_tasks"]]
        tasks = [*dict.fromkeys([main, *more])]
        features, facts = self.subject.features(self.store)
        retrieval = []
        if self.store is not self.whole:
            retrieval = [*self.linear_retrieval(modality, features, facts)]
        for task in tasks:
            found = self.evaluate(features, self.store, {**facts, "task": task})
            if task == main:
                found = self.label_free(found, features, self.store, self.subject.encoder)
                found = self.sensitivity(found, features)
            places = ([task] if len(tasks) > 1 else [], [modality] if retrieval else [])
            yield Measured(found, self.store, Path(*places[0], *places[1]))
        yield from retrieval

    def multimodal(self) -> Iterator[Measured]:
        """Each modality, all of them fused, and retrieval in every direction."""
        store, subject = self.store, self.subject
        tables = {one: subject.features(part, one) for one, part in store.parts.items()}
        task = store.task(self.values["task"]) if store.meta.tasks else None
        for one, (features, facts) in tables.items() if task is not None else ():
            part = store.part(one)
            tower = None if subject.encoder is None else subject.towers.tower(one)
            found = self.evaluate(features, part, {**facts, "modality": one, "task": task})
            if one != "text" and facts.get("joint") and "text" in store.parts:
                found = self.with_zero_shot(found, one, features)
            yield self.named(one, self.label_free(found, features, part, tower))
        if task is not None and subject.encoder is not None:
            yield self.named(FUSED, self.fused(task))
        for one, (features, facts) in tables.items():
            yield from self.linear_retrieval(one, features, facts)
        yield from self.controls(tables) if subject.source is None else self.retrieval(tables)

    def named(self, name: str, found: Evaluation) -> Measured:
        """One of several evaluations, in a folder of its name."""
        return Measured(found, self.whole, Path(name), name)

    def evaluate(
        self,
        features: Features,
        store: Store,
        facts: Config,
        variants: Mapping[str, Features] | None = None,
    ) -> Evaluation:
        """The probes of the protocol on the task that the facts name."""
        return evaluate(
            features,
            store,
            self.protocol,
            facts,
            checkpoint=self.subject.checkpoint,
            task=facts["task"],
            variants=variants,
        )

    def fused(self, task: str) -> Evaluation:
        """The fused features, and those of test items from which each modality is withheld."""
        store = self.store
        features, facts = self.subject.features(store)
        test = store.split("test")
        variants = {
            f"without {one}": embed(self.subject.towers, store, test, without=[one])
            for one in store.parts
        }
        facts = {**facts, "modality": store.meta.modality, "task": task}
        found = self.evaluate(features, store, facts, variants)
        return self.label_free(found, features, store, None)

    def label_free(
        self,
        found: Evaluation,
        features: Features,
        store: Store,
        encoder: Encoder | None,
    ) -> Evaluation:
        """With what is measured without labels; raw texts have no dense features.

        `encoder` makes features of views; None where there are none.
        """
        if not isinstance(features, np.ndarray):
            return found
        settings: LabelFree = instantiate(self.values["label_free"])
        items, views = settings.items(store), None
        if encoder is not None:
            recipe = settings.recipe(store.meta.modality, encoder.column)
            if recipe is not None:
                views = embed_views(encoder, store, items, recipe, num_views=settings.num_views)
        return with_label_free(found, np.asarray(features[items]), views, found.facts["task"])

    def sensitivity(self, found: Evaluation, features: Features) -> Evaluation:
        """With varied probes; raw texts have no dense features."""
        if not isinstance(features, np.ndarray):
            return found
        store, encoder = self.store, self.subject.encoder
        settings: Sensitivity = instantiate(self.values["sensitivity"])
        layers = None
        if encoder is not None and encoder.contextual:
            items = settings.items(store, found.facts["task"])
            of_items = embed_layers(encoder, store, items)
            layers = np.zeros((store.num_items, *of_items.shape[1:]), of_items.dtype)
            layers[items] = of_items
        return with_sensitivity(found, features, layers, store, self.protocol, settings)

    def linear_retrieval(
        self, modality: Modality, features: Features, facts: Config
    ) -> Iterator[Measured]:
        """Texts of the whole searched by the features of another modality, and the reverse."""
        if modality == "text" or "text" not in self.whole.parts:
            return
        for found in evaluate_linear_retrieval(
            features,
            controls.features(self.whole.part("text")),
            self.whole,
            facts,
            modality=modality,
            checkpoint=self.subject.checkpoint,
            candidates=self.values["candidates"],
        ):
            yield self.named(f"linear {found.facts['task']}", found)

    def retrieval(self, tables: Tables) -> Iterator[Measured]:
        """Retrieval in the joint space, with some queries of each direction's first draw."""
        subject, store, most = self.subject, self.store, self.values["candidates"]
        if not subject.facts["joint"]:
            return
        joint = {one: subject.joint(one, features) for one, (features, _) in tables.items()}
        for found in evaluate_retrieval(
            joint, store, subject.facts, checkpoint=subject.checkpoint, candidates=most
        ):
            task = str(found.facts["task"])
            first, second = cast("list[Modality]", task.split(" to "))
            shown = examples(joint, store, search(store, first, second, most=most))
            yield self.named(task, replace(found, examples=tuple(shown)))

    def controls(self, tables: Tables) -> Iterator[Measured]:
        """Retrieval without an encoder: by ridge regression, and by duration."""
        for found in controls.evaluate_controls(
            {one: features for one, (features, _) in tables.items()},
            self.store,
            self.subject.facts,
            checkpoint=self.subject.checkpoint,
            candidates=self.values["candidates"],
        ):
            yield self.named(f"{found.facts['objective']} {found.facts['task']}", found)

    def with_zero_shot(
        self, found: Evaluation, modality: Modality, features: Features
    ) -> Evaluation:
        """With the zero-shot classification of a tower's test items."""
        subject, task, part = self.subject, found.facts["task"], self.store.part(modality)
        tower = subject.towers.tower("text")
        tower.tokenizer = subject.towers.tokenizer
        test = part.split("test")
        records, predictions = zero_shot(
            subject.joint(modality, features[test]),
            part.labels(task)[test],
            part.meta.tasks[task],
            lambda texts: subject.joint("text", embed(tower, texts)),
            templates=self.values["templates"],
            task=task,
        )
        return replace(
            found,
            records=(*found.records, *records),
            predictions={**found.predictions, **predictions},
        )
