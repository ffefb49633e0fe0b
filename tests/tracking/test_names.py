"""Names are legal, keep results apart, and stand in one module alone."""

import ast
import re
from pathlib import Path

import pytest

from trivium.evaluation import label_free, pairs, zero_shot
from trivium.evaluation.results import UNLABELLED, Evaluation, record
from trivium.tracking import names

ROOT = Path(__file__).parents[2]
OWN = ROOT / "src" / "trivium" / "tracking" / "names.py"
SECTIONS = re.compile(r"(train|cost|validation|monitor|probe|sweep)/")
MLFLOWS = re.compile(r"mlflow\.(?!db$)[a-zA-Z.]+$|(tags|metrics|params)\.(`|\w+ *[=!<>])")
WORDS = {
    value
    for name, value in vars(names).items()
    if isinstance(value, str) and "_" in value and not name.startswith("_")
}
"""Names that no other part of the project could mean by the same text: `git_commit`."""
STORES = {"tags", "params", "metrics"}
CALLS = {"log_metrics", "log_params", "set_tags", "start_run", "find_run"}


@pytest.mark.parametrize(
    ("measure", "where", "expected"),
    [
        (("linear", "accuracy", "test", 0.01), (), "probe/linear/test_accuracy_1pct"),
        (("linear", "accuracy", "validation", 1.0), (), "probe/linear/validation_accuracy_100pct"),
        (("knn", "macro_f1", "test", 0.001), (), "probe/knn/test_macro_f1_0.1pct"),
        (("linear", "accuracy", "test", 0.07), (), "probe/linear/test_accuracy_7pct"),
        (
            ("linear/layer 1", "accuracy", "test", 0.1),
            (names.elsewhere("emoji", "group"),),
            "probe/emoji-group/linear/layer 1/test_accuracy_10pct",
        ),
        (
            ("retrieval", "recall@5/german", "test", None),
            ("image to text",),
            "probe/image to text/retrieval/test_recall_at_5/german",
        ),
        (
            ("retrieval", "recall@5/und/oder?", "test", None),
            (names.elsewhere("a/b", "x|y"),),
            "probe/a_b-x_y/retrieval/test_recall_at_5/und/oder_",
        ),
    ],
)
def test_the_share_of_labels_stands_in_the_name(measure, where, expected):
    assert names.probe(*measure, *where) == expected


@pytest.mark.parametrize(
    "name", ["recall@5", "a//b", "../up", "./here", "/top", "bottom/", "größe (km²)", "a:b", ""]
)
def test_mlflow_takes_every_name(name):
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    for made in (names.legal(name), names.train(name), names.probe("p", name, "test", 0.001)):
        _validate_metric_name(made)
        _validate_param_name(made)


def test_a_summary_holds_means_over_draws_by_what_was_measured():
    records = (
        record("t", "linear", "accuracy", 0.5, 9, fraction=0.001, draw=0),
        record("t", "linear", "accuracy", 0.7, 9, fraction=0.001, draw=1),
        record("t", "linear", "accuracy", 0.8, 9),
        record("t", "linear", "accuracy", 0.9, 9, split="validation"),
        record("t", "zero-shot", "accuracy", 0.4, 9),
    )
    found = Evaluation("3", "", {}, records, {}).summary()
    assert {names.probe(*one): value for one, value in found.items()} == {
        "probe/linear/test_accuracy_0.1pct": pytest.approx(0.6),
        "probe/linear/test_accuracy_100pct": 0.8,
        "probe/linear/validation_accuracy_100pct": 0.9,
        "probe/zero-shot/test_accuracy": 0.4,
    }


def test_probes_without_labels_are_known():
    assert {each.PROBE for each in (label_free, pairs, zero_shot)} == UNLABELLED


def test_an_encoders_tags_come_from_its_facts():
    facts = {name: name for name in names.ENCODER} | {"seed": 3, "paradigm": "control", "flops": 1}
    tags = names.encoder_tags(facts)
    assert tags.pop(names.COLOUR).startswith("#")
    assert tags == {name: facts[name] for name in (*names.ENCODER, "seed")}


def sources():
    folders = (ROOT / "src", ROOT / "pipelines")
    return [path for folder in folders for path in sorted(folder.rglob("*.py")) if path != OWN]


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def documentation(tree):
    """The texts that stand alone in a line: docstrings."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def stored(node):
    """Whether an expression is called like a run's tags, parameters or metrics in MLflow."""
    if isinstance(node, ast.Name):
        return node.id in ("tags", "tracked")
    of_data = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute | ast.Name)
    if not of_data:
        return False
    owner = node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id
    return node.attr in STORES and owner in ("data", "run")


def keys(tree):
    """What is used as a key of something tracked."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and stored(node.value):
            yield node.slice
        elif isinstance(node, ast.Compare) and any(map(stored, node.comparators)):
            yield node.left
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if called == "get" and stored(getattr(node.func, "value", None)):
                yield node.args[0]
            if called in CALLS:
                yield from (key for each in node.args for key in dict_keys(each))
        elif isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(map(stored, targets)):
                yield from dict_keys(node.value)


def dict_keys(node):
    """Keys of the dicts that an expression is written with."""
    for each in ast.walk(node):
        if isinstance(each, ast.Dict):
            yield from (key for key in each.keys if key is not None)
        elif isinstance(each, ast.DictComp):
            yield each.key


def literal(node):
    """Whether an expression is a text, or an f-string with a text in it."""
    if isinstance(node, ast.JoinedStr):
        return any(is_text(part) and part.value.strip() for part in node.values)
    return node is not None and is_text(node)


def violations(code):
    tree = ast.parse(code)
    shown = documentation(tree)
    texts = [node for node in ast.walk(tree) if is_text(node) and id(node) not in shown]
    named = [
        node
        for node in texts
        if SECTIONS.match(node.value) or MLFLOWS.match(node.value) or node.value in WORDS
    ]
    return sorted({node.lineno for node in [*named, *filter(literal, keys(tree))]})


@pytest.mark.parametrize(
    "code",
    [
        'x = "train/loss"',
        'x = f"probe/{name}"',
        'x = f"tags.`{key}` = 1"',
        'x = "mlflow.runColor"',
        'writer.log_metrics({"loss": 1.0}, step)',
        'writer.log_metrics({f"a_{k}": v for k, v in x.items()}, step)',
        'writer.set_tags({"a": 1} | more)',
        'run_id = find_run({"checkpoint": x})',
        'tags = {"kind": "sweep"}',
        'tags |= {"kind": "sweep"}',
        'tags["kind"] = 1',
        'tags.get("kind")',
        '"pid" in tags',
        'x = y["git_commit"]',
        'run.data.metrics["x"]',
        'run.tags.get("seed", 0)',
    ],
)
def test_a_name_outside_of_the_module_is_seen(code):
    assert violations(code) == [1]


@pytest.mark.parametrize(
    "code",
    [
        '"""train/CLASS holds files."""',
        'writer.log_metrics({names.FLOPS: metrics["flops"]}, step)',
        'folder = metrics["flops"]',
        'path = folder / "metrics.json", "mlflow.db"',
        "tags = {names.KIND: names.Kind.SWEEP}",
        "import mlflow.artifacts",
    ],
)
def test_other_texts_are_left_alone(code):
    assert violations(code) == []


def test_no_other_module_names_what_is_tracked():
    files = sources()
    assert len(files) > 100
    found = {
        str(path.relative_to(ROOT)): lines
        for path in files
        if (lines := violations(path.read_text(encoding="utf-8")))
    }
    assert not found
