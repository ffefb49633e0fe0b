"""Which way of learning wins at each label fraction, in sentences and in one table."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from trivium.colours import NAMES
from trivium.report.cells import Cell, Scores, by_main_metric
from trivium.report.pairwise import Comparison
from trivium.report.scores import RETRIEVAL
from trivium.report.tables import beats, fraction, label, listed, percent

Outcome = Literal["wins", "not distinguishable", "no better than a control", "measured alone"]


class Answer(NamedTuple):
    """The outcome at one label fraction of one dataset's task.

    `leader` has the highest mean of all that was pretrained; `tied` holds, for each other
    paradigm that cannot be told from it, the best such cell; `rival` is the best of another
    paradigm; `control` is a control that the leader does not beat.
    """

    fraction: float
    probe: str
    outcome: Outcome
    leader: Scores
    rival: Scores | None
    tied: tuple[Scores, ...]
    control: Scores | None
    sentence: str


def answers(scores: Sequence[Scores], comparisons: Sequence[Comparison]) -> tuple[Answer, ...]:
    """One answer per label fraction of one dataset's task, by the linear probe's test accuracy.

    Another probe is taken where there is no linear one; of retrieval there is one answer, by
    recall@5. The winner is picked by the same test items that judge it; that is sound because all
    pairs of a column are corrected for together.
    """
    members = by_main_metric(scores)
    probes = {one.cell.probe for one in members}
    if not probes:
        return ()
    probe = "linear" if "linear" in probes else min(probes)
    members = [one for one in members if one.cell.probe == probe]
    found = []
    for share in sorted({one.cell.fraction for one in members}):
        column = [one for one in members if one.cell.fraction == share]
        if any(one.cell.paradigm != "control" for one in column):
            found.append(_answer(share, probe, column, comparisons))
    return tuple(found)


def headline(found: Sequence[Answer], dataset: str) -> str:
    """One sentence over all label fractions of one dataset, or on a direction of retrieval."""
    name = dataset.replace("_", " ")
    if not found:
        return f"On {name}, nothing that was pretrained has been measured."
    if found[0].probe == RETRIEVAL:
        return f"On {name}: {_short(found[0])}."
    if all(one.outcome == "no better than a control" for one in found):
        return f"On {name}, no way of learning beats the controls."
    wins = {one.leader.cell.paradigm for one in found if one.outcome == "wins"}
    if len(wins) == 1 and all(one.outcome == "wins" for one in found):
        return f"On {name}, {NAMES[wins.pop()]} learning wins at every label fraction."
    shares: dict[str, list[str]] = {}
    for one in found:
        shares.setdefault(_short(one), []).append(fraction(one.fraction))
    parts = [f"{short} with {' and '.join(at)} of the labels" for short, at in shares.items()]
    return f"On {name}: " + "; ".join(parts) + "."


def _answer(
    share: float, probe: str, column: Sequence[Scores], comparisons: Sequence[Comparison]
) -> Answer:
    verdicts = {(one.first, one.second): one for one in comparisons}
    ranked = sorted(column, key=_mean, reverse=True)
    leader = next(one for one in ranked if one.cell.paradigm != "control")
    others = [o for o in ranked if o.cell.paradigm not in ("control", leader.cell.paradigm)]

    def told(one: Scores) -> bool:
        found = beats(leader.cell, one.cell, verdicts)
        return found is not None and found.verdict == "better"

    # A paradigm is tied by any of its objectives: a lower mean may be the less certain one.
    best: dict[str, Scores] = {}
    for one in others:
        if not told(one):
            best.setdefault(one.cell.paradigm, one)
    tied = tuple(best.values())
    controls = sorted(
        (o for o in column if o.cell.paradigm == "control" and not told(o)), key=_mean
    )
    control = controls[-1] if controls else None
    rival = others[0] if others else None
    outcome: Outcome = "wins"
    if control:
        outcome = "no better than a control"
    elif tied:
        outcome = "not distinguishable"
    elif rival is None:
        outcome = "measured alone"
    found = Answer(share, probe, outcome, leader, rival, tied, control, "")
    return found._replace(sentence=_sentence(found, verdicts))


def _sentence(answer: Answer, verdicts: dict[tuple[Cell, Cell], Comparison]) -> str:
    title = _title(answer.leader)
    what = "a recall@5 of " if answer.probe == RETRIEVAL else ""
    leader = f"{title[0].upper() + title[1:]} reaches {what}{written(answer.leader)}"
    if answer.control:
        end = f"which is not distinguishably better than the {_objective(answer.control)}"
        return f"{leader}, {end} ({written(answer.control)})."
    if answer.tied:
        names = " and ".join(
            f"{_title(one)} ({percent(one.interval.mean)} %)" for one in answer.tied
        )
        return f"{leader} and is not distinguishable from {names}."
    if answer.rival is None:
        return f"{leader}; no other way of learning was measured."
    found = beats(answer.leader.cell, answer.rival.cell, verdicts)
    if found is None:
        return f"{leader}."
    ahead = f"{100 * found.difference:.1f} points"
    bounds = f"[{100 * found.low:.1f}, {100 * found.high:.1f}]"
    return f"{leader}, {ahead} {bounds} ahead of {_title(answer.rival)}."


def _short(answer: Answer) -> str:
    if answer.outcome == "wins":
        return f"{NAMES[answer.leader.cell.paradigm]} learning wins"
    if answer.outcome == "not distinguishable":
        names = [NAMES[one.cell.paradigm] for one in (answer.leader, *answer.tied)]
        return f"{' and '.join(names)} learning cannot be told apart"
    if answer.outcome == "measured alone":
        return f"{NAMES[answer.leader.cell.paradigm]} learning alone was measured"
    return "no way of learning beats the controls"


def _title(one: Scores) -> str:
    return f"{NAMES[one.cell.paradigm]} {_objective(one)}"


def _objective(one: Scores) -> str:
    """The objective's name; of a tower, with which other modalities it learnt."""
    name = label(one.cell.objective)
    is_tower = one.others and one.cell.paradigm != "control"
    return f"{name} with {listed(one.others)}" if is_tower else name


def written(one: Scores) -> str:
    """A mean in percent with its interval."""
    low, high = one.interval.low, one.interval.high
    bounds = "" if low != low else f" [{percent(low)}, {percent(high)}]"
    return f"{percent(one.interval.mean)} %{bounds}"


def _mean(one: Scores) -> float:
    return one.interval.mean
