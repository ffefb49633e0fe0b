"""All names under which runs are tracked: metrics, tags, parameters, folders of artifacts.

A slash makes a section of charts in the UI. The step of a metric is the optimiser step of the
encoder that was measured and nothing else; what a probe learnt from stands in the name.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

ILLEGAL = re.compile(r"[^\w.\- ]")
"""What MLflow takes in no name; a colon is refused on Windows alone."""


def legal(name: str) -> str:
    """A name that MLflow takes: `recall@5/german` becomes `recall_at_5/german`."""
    parts = [ILLEGAL.sub("_", part) for part in name.replace("@", "_at_").split("/")]
    return "/".join("_" if part in ("", ".", "..") else part for part in parts)


def train(term: str) -> str:
    """The metric of a term of the objective on the training batches."""
    return legal(f"train/{term}")


def cost(what: str) -> str:
    """The metric of what training has cost up to a step; `seconds` of the cost ledger, say."""
    return legal(f"cost/{what}")


def validation(measure: str) -> str:
    """The metric of what was measured on validation items during or after training."""
    return legal(f"validation/{measure}")


def monitor(measure: str) -> str:
    """The metric of what the online probe measured; it stands in no table of results."""
    return legal(f"monitor/online_{measure}")


LEARNING_RATE = train("learning_rate")
FLOPS, SAMPLES, TOKENS = cost("flops"), cost("samples"), cost("tokens")
VALIDATION_LOSS = validation("loss")
"""The objective's own loss on samples that nothing learnt from, at the end of the run."""
SELECTION_ACCURACY = validation("selection_accuracy")
"""What the trials of a sweep are compared by: of a quick linear probe, at the end of each run."""

NUM_TRIALS, NUM_FINISHED = "sweep/num_trials", "sweep/num_finished"


def best(metric: str) -> str:
    """The metric of a sweep's parent run that holds the best value among its trials."""
    return f"sweep/best/{metric}"


def share(fraction: float) -> str:
    """A label fraction as a word: `1pct` for 0.01, `0.1pct` for 0.001."""
    return f"{100 * fraction:.10g}pct"


def probe(name: str, metric: str, split: str, fraction: float | None, *where: str) -> str:
    """The metric of a result under the protocol: `probe/linear/test_accuracy_1pct`.

    `fraction` is the share of labels that was learnt from, None without labels; `where` sets the
    result apart from those of the encoder's own dataset and task, see `elsewhere`.
    """
    base, slash, stratum = metric.partition("/")
    known = "" if fraction is None else f"_{share(fraction)}"
    return legal("/".join(["probe", *where, name, f"{split}_{base}{known}{slash}{stratum}"]))


def elsewhere(dataset: str, task: str) -> str:
    """The word for results on another dataset or task than those of the encoder's training."""
    return f"{dataset}-{task}".replace("/", "_")


class Kind(StrEnum):
    """What a run is, the values of the tag `KIND`."""

    PRETRAINING = "pretraining"
    PROBE = "probe"
    SWEEP = "sweep"
    REUSED = "reused"


KIND = "kind"
ENCODER = ("dataset", "modality", "paradigm", "objective", "encoder")
"""Facts of an encoder that are tags of its run, and that all seeds of it share."""
DATASET, OBJECTIVE, PARADIGM, SEED = "dataset", "objective", "paradigm", "seed"
PROTOCOL = "protocol"
CHECKPOINT = "checkpoint"
"""The hash of the encoder that a run made; of a control that has none, of its store."""
IDENTITY = "identity"
"""What a pretraining is known by, see `trivium.identity`."""
RESUMED_AT = "resumed_at"
SWEEP_METRIC = "sweep.metric"
COMMIT, DIRTY = "git_commit", "git_dirty"
TORCH, CPU = "torch", "cpu"
HOST, PROCESS, PROCESS_STARTED = "host", "pid", "process_started"

PARENT_RUN = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
COLOUR = "mlflow.runColor"
USER = "mlflow.user"
EXPERIMENT_KIND = "mlflow.experimentKind"
DATA_CONTEXT = "mlflow.data.context"
SOURCE, SOURCE_TYPE, SOURCE_COMMIT = (
    "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit",
)  # fmt: skip


def encoder_tags(facts: Mapping[str, object]) -> dict[str, object]:
    """The tags that tell which encoder a run is about (`ENCODER`, seed), and its colour."""
    from trivium.colours import run_colour

    found = {name: facts[name] for name in (*ENCODER, SEED)}
    return found | {COLOUR: run_colour(str(facts[PARADIGM]), str(facts[OBJECTIVE]))}


def tagged(tag: str, value: object) -> str:
    """The filter of runs that have a tag."""
    return f"tags.`{tag}` = '{value}'"


OVERRIDES = "sweep.overrides"
SEARCH, TUNING = "search", "tune"
"""Parameters of a run of `tune.py`: the space, and the settings of the search."""
ASIDE = (
    "seed", "run_dir", "stores", "grid", "overwrite", "cell", "method", "trainer.num_threads",
    "tracking",
)  # fmt: skip
"""Parameters that set no way of learning apart: a seed, and where and how a run was run."""

ENCODER_FILES, RUN_FILES, PROBE_FILES = "encoder", "run", "probe"


def evaluation_files(dataset: str, task: str, *more: str) -> str:
    """The folder of an evaluation's artifacts; `more` sets several of one task apart."""
    return "/".join([PROBE_FILES, f"{dataset}-{task}", *more])
