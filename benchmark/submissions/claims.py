"""What a submission says of itself, held against the families, the catalog and the protocol; no policy is needed."""

from collections.abc import Mapping
from typing import Any

from benchmark import families
from benchmark.data.catalog import expected_hash, references
from benchmark.data.dataset import dataset_id
from benchmark.data.references import References
from benchmark.errors import BenchmarkError, SubmissionError
from benchmark.families.family import MUJOCO_VERSION, Family
from benchmark.protocol import EPISODES, PROTOCOL_VERSION, SOURCES
from benchmark.registry import BUILT_IN
from benchmark.results.rows import SUCCESSES, normalised_score
from benchmark.results.submission import OF_A_CONTEXT, Submission, check_form

MINIMUM_SEEDS = 4
"""As many as the paper has."""
ROUNDING = 0.001
"""Twice what three decimals can be away from the number that was written."""


def check_claims(submission: Submission) -> None:
    """Raise a BenchmarkError unless the rows are complete, of this standard, and follow from the catalog."""
    check_form(submission)
    rows, where = submission.rows, submission.folder
    try:
        family = families.family(str(rows["family"].iloc[0]))
        split = family.split(str(rows["split"].iloc[0]))
        known = references(family.name)
        _check_standard(submission, family)
    except SubmissionError:
        raise
    except BenchmarkError as error:
        raise SubmissionError(f"{where} is of another standard: {error}") from error
    seeds = rows["seed"].unique()
    if len(seeds) < MINIMUM_SEEDS:
        raise SubmissionError(
            f"{where} has {len(seeds)} seeds; a submission needs {MINIMUM_SEEDS}. Run the others with --seeds."
        )
    for key, group in rows.groupby([*OF_A_CONTEXT]):
        for seed in seeds:
            tasks = sorted(group.loc[group["seed"] == seed, "task"])
            if tasks != sorted(split.test):
                raise SubmissionError(
                    f"{where}: seed {seed} with context {key[0]} has rows of the tasks {tasks}, but the split's test "
                    f"tasks are {sorted(split.test)}. All of them are needed."
                )
    _check_built_in(submission)
    _check_references(submission, family, known)


def _check_standard(submission: Submission, family: Family) -> None:
    """Raise SubmissionError unless the rows were made with this version of everything."""
    first, config = submission.rows.iloc[0], next(iter(submission.configs.values()))
    tier, size = str(config.get("tier")), str(config.get("size"))
    wanted = {
        "family": family.id, "data": dataset_id(family, tier, size), "data_hash": expected_hash(family, tier, size),
        "protocol": PROTOCOL_VERSION, "mujoco": MUJOCO_VERSION,
    }  # fmt: skip
    for name, value in wanted.items():
        if first[name] != value:
            raise SubmissionError(
                f"{submission.folder}: its rows have {name} {first[name]}, but this standard has {value}. Make the "
                "runs anew with this version of the project, on its own data."
            )
    for source in submission.rows["context"].unique():
        if source not in SOURCES:
            raise SubmissionError(
                f"{submission.folder}: its rows have a context '{source}'; there are {', '.join(SOURCES)}."
            )


def _check_built_in(submission: Submission) -> None:
    """Raise SubmissionError where another method has a built-in one's name."""
    name = str(submission.rows["algorithm"].iloc[0])
    specification = next(iter(submission.configs.values())).get("algorithm")
    if (name in BUILT_IN) != (specification in BUILT_IN) or (name in BUILT_IN and name != specification):
        raise SubmissionError(
            f"{submission.folder}: the algorithm is called '{name}', but was run as {ascii(specification)[:80]}. The "
            "name of a built-in method stands for that method alone."
        )


def _check_references(submission: Submission, family: Family, known: References) -> None:
    """Raise SubmissionError unless references are the catalog's, and scores follow from returns or success rates."""
    split = str(submission.rows["split"].iloc[0])
    test = family.split(split).test
    if family.has_success != (SUCCESSES[0] in submission.rows):
        raise SubmissionError(
            f"{submission.folder}: success rates are there if and only if the family knows success."
        )
    for row in submission.rows.to_dict("records"):
        task = row["task"]
        random, expert, rates = known.random[task], known.expert[task], known.successes
        blind = known.blind[split].returns[test.index(task)]
        wanted = {"random_return": random, "expert_return": expert, "blind_return": blind}
        score, slack = (
            normalised_score(row["adapted_return"], random, expert),
            100 * ROUNDING / abs(expert - random),
        )
        if rates is not None:
            wanted |= {"random_success": rates.random[task], "expert_success": rates.expert[task],
                       "blind_success": rates.blind[split][test.index(task)]}  # fmt: skip
            score, slack = 100 * row["adapted_success"], 100 * ROUNDING
            _check_rates(submission, row)
        for name, value in wanted.items():
            _check_close(submission, row, name, value, ROUNDING)
        _check_close(submission, row, "score", score, ROUNDING + slack)


def _check_rates(submission: Submission, row: Mapping[Any, Any]) -> None:
    for name in ("adapted_success", "unadapted_success"):
        _check_close(submission, row, name, round(row[name] * EPISODES) / EPISODES, ROUNDING)
        _check_close(submission, row, name, min(max(row[name], 0.0), 1.0), 0.0)


def _check_close(
    submission: Submission, row: Mapping[Any, Any], name: str, value: float, slack: float
) -> None:
    if not abs(row[name] - value) <= slack:
        raise SubmissionError(
            f"{submission.folder}: seed {row['seed']}, task {row['task']} has {name} {row[name]}, but it follows from "
            f"the catalog and the other columns that it is {value:.3f}. Rows are not to be edited."
        )
