"""Returns of policies in files, under the protocol: the same initial states and episodes for everyone."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from benchmark import families
from benchmark.data.catalog import references
from benchmark.evaluation import Evaluation, as_act, combined
from benchmark.families.family import Family
from benchmark.protocol import EPISODES, ContextChoice
from benchmark.results.rows import KEY, as_frame
from benchmark.results.submission import OF_A_CONTEXT, PolicyFile, Submission, policy_files
from benchmark.rollouts import Act, Outcomes, episode_outcomes
from benchmark.scoring import result_rows
from benchmark.submissions.export import held_against, to_onnx
from benchmark.submissions.policy import load_policy
from benchmark.tested import PROCESSOR
from benchmark.training import Run


def export_run(run: Run, choice: ContextChoice) -> tuple[Evaluation, dict[str, bytes]]:
    """Export a finished run's policies for one context choice; returns what they reach, and the files by path.

    Raises NotExportable where a policy is no plain function of the observation.
    """
    tested = run.tested.now()
    traced, acting = (run.evaluator.policies(tested, choice) for _ in range(2))
    groups = [(tasks, True, policy) for tasks, policy in traced.adapted]
    groups.append((tuple(run.split.test), False, traced.unadapted))
    twins = [*(policy for _, policy in acting.adapted), acting.unadapted]
    outcomes, contents = [], {}
    for (tasks, adapted, policy), twin in zip(groups, twins, strict=True):
        file = PolicyFile(run.config.seed, choice.source, choice.size, tasks, adapted)
        shape = (len(tasks), EPISODES, run.family.observation_size)
        contents[file.path] = to_onnx(policy, shape, PROCESSOR)
        exported = load_policy(contents[file.path], run.family, len(tasks), run.folder / file.path)
        original = as_act(tested, twin, run.family, PROCESSOR)
        outcomes.append(_rolled_out(run.family, tasks, held_against(original, exported)))
    *of_adapted, unadapted = outcomes
    return combined(choice, of_adapted, unadapted), contents


def measure(submission: Submission, report: Callable[[int, int], None]) -> pd.DataFrame:
    """The submission's rows, with everything in them that follows from its policies measured anew.

    `report` is called with the policies done and their number. Raises SubmissionError where a file is no policy.
    """
    files = policy_files(submission.rows)
    measured = []
    outcomes: dict[PolicyFile, Outcomes] = {}
    family = families.family(str(submission.rows["family"].iloc[0]))
    for done, file in enumerate(files):
        report(done, len(files))
        where = submission.folder / file.path
        act = load_policy(submission.policy(file), family, len(file.tasks), where)
        outcomes[file] = _rolled_out(family, file.tasks, act)
    report(len(files), len(files))
    for _, rows in submission.rows.groupby(["seed", *OF_A_CONTEXT]):
        measured.append(_rows(family, rows, {file: outcomes[file] for file in policy_files(rows)}))
    return pd.concat(measured, ignore_index=True)


def _rows(family: Family, claimed: pd.DataFrame, outcomes: Mapping[PolicyFile, Outcomes]) -> pd.DataFrame:
    """Rows of one seed and context, like those claimed but with these outcomes."""
    first = claimed.iloc[0]
    choice = ContextChoice(str(first["context"]), int(first["context_size"]))
    adapted = [one for file, one in outcomes.items() if file.adapted]
    (unadapted,) = (one for file, one in outcomes.items() if not file.adapted)
    evaluation = combined(choice, adapted, unadapted)
    told = ("family", "split", "online_steps", *OF_A_CONTEXT)  # by the evaluation
    common = {name: first[name] for name in (*KEY, "seed") if name not in told}
    return as_frame(result_rows(family, str(first["split"]), references(family.name), evaluation, common))


def _rolled_out(family: Family, tasks: Sequence[int], act: Act) -> Outcomes:
    return episode_outcomes(family, tasks, act, EPISODES)
