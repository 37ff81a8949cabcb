"""The one training loop: meta-train, evaluate every N steps, checkpoint, resume bit for bit.

RUN/config.toml    everything, resolved        RUN/metrics.csv   one row per evaluation
RUN/checkpoint/    the last good state         RUN/timing.csv    wall-clock and memory, apart because they vary
RUN/result.csv     one row per test task and context source, written at the end; a finished run can be tested again
RUN/informed.csv   of a method that can be told the task: returns on the train tasks when it is
"""

import io
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import pandas as pd
import torch
from torch import Tensor

from benchmark import calls, families
from benchmark.algorithm import Algorithm, AlgorithmConfig, FamilyDescription
from benchmark.checkpoint import GO_ON, Checkpoints, not_finite
from benchmark.data.catalog import references
from benchmark.data.dataset import Dataset
from benchmark.data.references import References
from benchmark.data.sampler import Sampler
from benchmark.errors import AlgorithmError, RunError
from benchmark.evaluation import Evaluation, Evaluator
from benchmark.files import write_text
from benchmark.final_test import EarlierTests, final_evaluations, informed_table
from benchmark.interruption import Interrupted, noticed_signals
from benchmark.memory import peak_memory_mib
from benchmark.online_finetuning import CONTEXT, check_learns_online
from benchmark.protocol import PROTOCOL_VERSION, OpenData
from benchmark.randomness import torch_stream
from benchmark.recorded_steps import step_maker
from benchmark.registry import build_config, find_algorithm
from benchmark.results.rows import ResultRow, as_frame, write_table
from benchmark.run_config import RunConfig, as_toml, check_protocol, settings_text
from benchmark.run_folder import refuse_existing, refuse_other_run
from benchmark.scoring import result_rows
from benchmark.tested import PROCESSOR, Tested

CHECK_EVERY = 100
"""Steps between two looks at whether the loss is finite; each look waits for the device once."""


@dataclass(frozen=True)
class Progress:
    """What a display is told while a run goes on."""

    step: int
    message: str
    evaluated: bool
    """Whether an evaluation has just been made."""


class Run:
    """One algorithm, family, split and seed, in one folder."""

    def __init__(self, config: RunConfig, folder: Path, open_data: OpenData) -> None:
        """`open_data` gives the family's data set of a tier.

        Raises the errors of `registry` and `run_config` for what does not exist or does not fit.
        """
        self.config, self.folder, self.open_data = config, folder, open_data
        torch.set_num_threads(config.threads)
        self.device = config.torch_device()
        self.family = families.family(config.family)
        self.split = self.family.split(config.split)
        self.kind = find_algorithm(config.algorithm)
        check_protocol(self.kind, config.protocol)
        self.settings = build_config(self.kind, config.settings)
        self.references: References = references(self.family.name)
        self.random = torch_stream(config.seed, "algorithm", device=self.device)
        self.data_random = torch_stream(config.seed, "data", device=self.device)
        self.algorithm = self._build(self.settings, self.device, self.random)
        self.dataset: Dataset = open_data(config.tier)
        discount = self.settings.discount
        self.data = Sampler(
            self.dataset, self.split.train, discount, self.device, self.data_random,
            self.family.observation_scale, lambda: open_data("random"))  # fmt: skip
        self.tested = Tested(self.algorithm, self.settings, self._build, self.device, self.random)
        self.evaluator = Evaluator(
            self.family, self.split.test, open_data, discount, PROCESSOR, self.tested.random,
            config.seed,
        )  # fmt: skip
        generators = [self.random, self.data_random]
        self.make_step = step_maker(self.algorithm, self.data, generators, self.device)
        self.step = 0
        self.sums: dict[str, Tensor] = {}
        self.rows: list[dict[str, float]] = []
        self.timing: list[dict[str, float]] = []
        self._before, self._since = 0.0, time.perf_counter()
        self.checkpoints = Checkpoints(folder / "checkpoint", self.identity())
        self.earlier = EarlierTests()
        self.known: dict[int, Evaluation] = {}
        """The curve's last evaluation, by its step."""

    def _build(self, settings: AlgorithmConfig, device: torch.device, random: torch.Generator) -> Algorithm:
        description = FamilyDescription(
            name=self.family.id,
            observation_size=self.family.observation_size,
            action_size=self.family.action_size,
            horizon=self.family.horizon,
            train_tasks=len(self.split.train),
            dynamics_differ=self.family.dynamics_differ,
        )
        return calls.build(self.kind, settings, description, device, random)

    def identity(self) -> dict[str, Any]:
        """What a checkpoint and a finished run must share with this one: everything but the number of steps."""
        return {
            **self.config.full_identity(type(self.algorithm), self.settings),
            "data": self.dataset.id,
            "data_hash": self.dataset.content_hash,
            "torch": torch.__version__,
        }

    def prepare(self, resume: bool) -> None:
        """Claim the folder: a new one, or with `resume` the run that lies there, whose other tests stay.

        Raises RunError if another run lies there, or a finished one without `resume`, or if the folder cannot be
        written; CheckpointError if the checkpoint is damaged or another run's; ConfigError or DataError if a
        context cannot be had.
        """
        if not resume:
            refuse_existing(self.folder)
        further = (CONTEXT,) if self.config.online else ()
        for choice in (*self.config.contexts, *further):
            if choice.source != "online":
                self.evaluator.context(choice)
        if self.config.online:
            check_learns_online(self.tested.now(), self.evaluator)
        if self.checkpoints.exists():
            self._load(self.checkpoints.load(self.device))
        else:
            refuse_other_run(self.folder, self.identity())
        if self.step > self.config.steps:
            raise RunError(
                f"{self.folder} has already done {self.step} steps, more than the {self.config.steps} asked for; "
                "nothing was changed."
            )
        if self.step == self.config.steps:
            self.earlier = EarlierTests.read(self.folder / "result.csv")
        try:
            contexts = [str(choice) for choice in self.earlier.with_contexts(self.config.contexts)]
            asked = {"steps": self.config.steps, "contexts": contexts, "protocol_name": self.config.protocol}
            write_text(self.folder / "config.toml", as_toml({**asked, **self.identity()}))
        except OSError as error:
            raise RunError(
                f"the run's folder {self.folder} cannot be written: {error}. Choose another --out."
            ) from error

    def restore(self) -> None:
        """Take up the finished run that lies in the folder, and write nothing.

        Raises RunError where there is no checkpoint of the last step, CheckpointError where it is damaged.
        """
        if self.checkpoints.exists():
            self._load(self.checkpoints.load(self.device))
        if self.step != self.config.steps:
            raise RunError(
                f"{self.folder} has no checkpoint of step {self.config.steps}, and without it nothing is left but the "
                "numbers. Make the run again."
            )

    def _load(self, state: Mapping[str, Any]) -> None:
        calls.load_state(self.algorithm, state["algorithm"])
        self.random.set_state(state["random"].cpu())
        self.data_random.set_state(state["data_random"].cpu())
        self.step, self.sums = state["step"], dict(state["sums"])
        self.rows, self.timing = list(state["rows"]), list(state["timing"])
        of_the_curve = self.timing[-1]["seconds"] if self.timing else 0.0
        self._before = state.get("seconds", of_the_curve)  # the earliest checkpoints have none

    def save(self) -> None:
        """Checkpoint everything that resuming needs."""
        state = {
            "algorithm": calls.state(self.algorithm),
            "random": self.random.get_state(),
            "data_random": self.data_random.get_state(),
            "step": self.step,
            "sums": self.sums,
            "rows": self.rows,
            "timing": self.timing,
            "seconds": self._seconds(),
        }
        self.checkpoints.save(self.step, state)

    def train(
        self,
        report: Callable[[Progress], None] = lambda progress: None,
        asked_to_stop: Callable[[], bool] = lambda: False,
    ) -> pd.DataFrame:
        """Train to the configured step, then test with every context choice; returns the result rows.

        A signal (SIGINT, SIGTERM), or being asked to stop, which counts as SIGTERM, ends it after the step or the test
        under way, leaves a checkpoint and raises Interrupted.
        """
        first, self._since = self.step, time.perf_counter()
        if self.step < self.config.steps:
            for name in ("result.csv", "informed.csv"):  # of fewer steps
                (self.folder / name).unlink(missing_ok=True)
        with noticed_signals() as received:

            def end_if_asked(leave: Callable[[], None] = lambda: None) -> None:
                if received or asked_to_stop():
                    leave()
                    stays = f"at step {self.step}; {self.folder} holds its checkpoint, from which {GO_ON}."
                    raise Interrupted((received or [signal.SIGTERM])[0], stays)

            while self.step < self.config.steps:
                self._one_step()
                if self.step % CHECK_EVERY == 0:
                    self._check_finite()
                    report(Progress(self.step, self._latest_message(), False))
                if self.step % self.config.evaluate_every == 0:
                    self._evaluate_during_training()
                    self._note_time()
                    self._write_curves()
                    self.save()
                    report(Progress(self.step, self._latest_message(), True))
                end_if_asked(self.save)
            if self.step > first and self.step % self.config.evaluate_every:
                self.save()
            return self.finish(end_if_asked)

    def _seconds(self) -> float:
        """Wall-clock of training so far, of all processes that had a part in it."""
        return self._before + time.perf_counter() - self._since

    def _note_time(self) -> None:
        row = {"seconds": round(self._seconds(), 2), "peak_memory_mib": peak_memory_mib()}
        self.timing.append({"step": self.step, **row})

    def _one_step(self) -> None:
        metrics = self.make_step(self.step + 1)
        if not self.sums:
            self.sums = {name: torch.zeros_like(value) for name, value in metrics.items()}
        elif self.sums.keys() != metrics.keys():
            names = ", ".join(sorted(self.sums.keys() ^ metrics.keys()))
            raise AlgorithmError(f"step {self.step + 1} gives other metrics than the step before: {names}.")
        torch._foreach_add_(list(self.sums.values()), [metrics[name] for name in self.sums])
        self.step += 1

    def _check_finite(self) -> None:
        broken = not_finite(self.sums, "metric")
        if broken:
            raise RunError(
                f"{broken} is not finite at step {self.step}. {self.checkpoints.what_stays()} "
                "Lower the learning rate, or look at metrics.csv."
            )

    def _evaluate_during_training(self) -> None:
        self.rows.append(self._curve_row())
        self.sums = {}

    def _curve_row(self) -> dict[str, float]:
        """One row of metrics.csv: the protocol's columns, then means of the method's metrics since the last row."""
        self._check_finite()
        row: dict[str, float] = {"step": self.step}
        evaluation = self.evaluator.evaluate(self.tested.now(), self.config.contexts[0])
        self.known = {self.step: evaluation}
        scored = self.score(evaluation, self.settings)
        for column in ("adapted_return", "unadapted_return", "score"):
            row[column] = sum(getattr(one, column) for one in scored) / len(scored)
        row |= {f"adapted_return_task_{one.task}": one.adapted_return for one in scored}
        steps = self.step % self.config.evaluate_every or self.config.evaluate_every
        return row | {name: float(value) / steps for name, value in self.sums.items()}

    def _latest_message(self) -> str:
        if not self.rows:
            return ""
        last = self.rows[-1]
        return f"return {last['unadapted_return']:.0f} -> {last['adapted_return']:.0f} adapted"

    def _write_curves(self, last: Sequence[Mapping[str, float]] = ()) -> None:
        """Write the curve so far; `last` is the row of a last step at which no evaluation was due.

        That row is not part of the run's state, so a longer run is the same as one that was never stopped there.
        """
        try:
            for name, rows in (("metrics.csv", [*self.rows, *last]), ("timing.csv", self.timing)):
                buffer = io.StringIO()
                pd.DataFrame(rows).to_csv(buffer, index=False, lineterminator="\n")
                write_text(self.folder / name, buffer.getvalue())
        except OSError as error:
            raise RunError(
                f"{self.folder} cannot be written: {error}. {self.checkpoints.what_stays()} Free some space; then "
                f"{GO_ON}."
            ) from error

    def score(self, evaluation: Evaluation, settings: AlgorithmConfig) -> list[ResultRow]:
        """Result rows of one evaluation made with these settings, episodes averaged."""
        common = {
            "data": self.dataset.id,
            "data_hash": self.dataset.content_hash,
            "protocol": PROTOCOL_VERSION,
            "mujoco": mujoco.__version__,
            "algorithm": self.algorithm.name,
            "algorithm_version": self.algorithm.version,
            "settings": settings_text(settings),
            "steps": self.step,
            "seed": self.config.seed,
        }
        return result_rows(self.family, self.config.split, self.references, evaluation, common)

    def finish(self, pause: Callable[[], None]) -> pd.DataFrame:
        """Test the last checkpoint's algorithm with every context choice and write the result rows.

        `pause` is called before every test, and ends them all by an error of its own.
        """
        if self.step % self.config.evaluate_every:
            self._write_curves([self._curve_row()])
        tested = self.tested.now()
        known = [self.known[self.step]] if self.step in self.known else []
        tests = final_evaluations(
            tested, self.settings, self.evaluator, self.config.contexts, self.config.online,
            self.tested.build, known, pause,
        )  # fmt: skip
        rows = [row for settings, evaluation in tests for row in self.score(evaluation, settings)]
        informed = informed_table(tested, self.family, self.split.train, self.references)
        frame = as_frame(rows)
        try:
            if informed is not None:
                write_table(self.folder / "informed.csv", informed)
            write_table(self.folder / "result.csv", self.earlier.behind(frame))
        except OSError as error:
            raise RunError(
                f"{self.folder / 'result.csv'} cannot be written: {error}. Free some space; then {GO_ON}."
            ) from error
        return frame
