"""Collect behaviour: one soft actor-critic agent per task, trained from scratch, snapshots of its whole life.

The tasks are dealt to worker processes, one per core, each of which trains its share as one batched network:

    parent -- tasks 0, 2, 4 ... --> worker 0 -- checkpoints --> OUT/worker-0.pt -- snapshots -.
           `- tasks 1, 3, 5 ... --> worker 1 -- checkpoints --> OUT/worker-1.pt -- snapshots --+--> snapshot file

Killed at any moment, the same command goes on from the last checkpoints. On SIGINT, SIGTERM or a worker's failure the
parent asks all workers to stop. A worker that is asked, or whose parent is gone, ends its step, saves and exits.
"""

import multiprocessing
import pickle
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark import families
from benchmark.data.sac import BatchedSac, SacConfig
from benchmark.data.snapshots import Snapshots
from benchmark.errors import BenchmarkError, CheckpointError, ConfigError, RunError
from benchmark.families.simulation import BatchSimulation
from benchmark.files import write_atomically, write_text
from benchmark.interruption import Interrupted, noticed_signals
from benchmark.randomness import numpy_stream, torch_stream

LIFE_FRACTIONS = (0.02, 0.04, 0.065, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
"""When snapshots are taken, as fractions of the training life: dense early, where behaviour changes fast."""


@dataclass(frozen=True)
class CollectConfig:
    """What determines the behaviour policies of a family."""

    family: str
    """Name of the family."""
    steps: int = 100_000
    """Environment steps, and critic updates, per task."""
    workers: int = 2
    """Worker processes; the tasks are dealt to them in turn, so the number is part of the recipe."""
    seed: int = 0
    """Seed of everything."""
    sac: SacConfig = field(default_factory=SacConfig)
    """The agents."""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.steps <= self.sac.random_steps:
            raise ConfigError(
                f"collect: workers is {self.workers} and steps is {self.steps}; at least 1 worker and more than "
                f"{self.sac.random_steps} steps (the random ones at the start) are needed."
            )
        if self.seed < 0:
            raise ConfigError(f"collect: seed is {self.seed}; choose 0 or a larger whole number.")

    @property
    def snapshot_steps(self) -> tuple[int, ...]:
        """Environment steps after which snapshots are taken."""
        return tuple(round(fraction * self.steps) for fraction in LIFE_FRACTIONS)


class Worker:
    """The training of some tasks' agents in one process."""

    def __init__(self, config: CollectConfig, number: int, out: Path) -> None:
        self.config, self.out, self.number = config, out, number
        self.family = families.family(config.family)
        self.tasks = list(range(number, self.family.tasks, config.workers))
        self.path = out / f"worker-{number}.pt"
        self.log_path = out / f"worker-{number}.csv"
        self.resets = numpy_stream(config.seed, "collect", number, "resets")
        self.agents = BatchedSac(
            len(self.tasks),
            self.family.observation_scale,
            self.family.action_size,
            config.steps,
            config.sac,
            torch_stream(config.seed, "collect", number, "agents"),
        )
        self.simulation = BatchSimulation(self.family, self.tasks, threads=0)
        lanes = len(self.tasks)
        self.observations = torch.from_numpy(self.simulation.reset(*self._initial_states(lanes)))
        self.ages, self.returns, self.last_returns = (np.zeros(lanes) for _ in range(3))
        self.step = 0
        self.snapshots: dict[int, list[torch.Tensor]] = {}
        self.log: list[str] = ["step," + ",".join(f"task {task}" for task in self.tasks)]

    def _initial_states(self, lanes: int) -> tuple[np.ndarray, np.ndarray]:
        states = [self.family.reset(self.resets) for _ in range(lanes)]
        return np.stack([qpos for qpos, _ in states]), np.stack([qvel for _, qvel in states])

    def environment_step(self) -> None:
        """One step of every task's environment, remembered by its agent."""
        shape = (len(self.tasks), self.family.action_size)
        if self.step < self.config.sac.random_steps:
            actions = torch.rand(shape, generator=self.agents.random) * 2 - 1
        else:
            actions = self.agents.act(self.observations)
        after = self.simulation.step(actions.numpy())
        next_observations = torch.from_numpy(after.observations)
        rewards = torch.from_numpy(after.rewards.astype(np.float32))
        terminated = torch.from_numpy(after.terminated.astype(np.float32))
        self.agents.remember(self.observations, actions, next_observations, rewards, terminated)
        self.ages += 1
        self.returns += after.rewards
        over = np.flatnonzero(after.terminated | (self.ages >= self.family.horizon))
        self.observations = next_observations
        if len(over):
            self.last_returns[over] = self.returns[over]
            self.ages[over] = self.returns[over] = 0
            restarted = self.simulation.restart(over, *self._initial_states(len(over)))
            self.observations = torch.from_numpy(restarted)
        self.step += 1

    @torch.no_grad()
    def run(self, checkpoint_every: int = 10_000, asked_to_stop: Callable[[], bool] = lambda: False) -> None:
        """Train to the end, or until asked to stop between two steps; every thousandth step is logged.

        Raises RunError if the log or a checkpoint cannot be written.
        """
        snapshot_steps = set(self.config.snapshot_steps)
        while self.step < self.config.steps:
            self.environment_step()
            if self.step >= self.config.sac.random_steps:
                self.agents.update()
            if self.step in snapshot_steps:
                self.snapshots[self.step] = self.agents.actor_weights()
            if self.step % 1000 == 0:
                self.log.append(f"{self.step}," + ",".join(f"{value:.1f}" for value in self.last_returns))
                self._write_log()
            stop = asked_to_stop()
            if stop or self.step % checkpoint_every == 0 or self.step == self.config.steps:
                self.save()
            if stop:
                return

    def _write_log(self) -> None:
        try:
            write_text(self.log_path, "\n".join(self.log) + "\n")
        except OSError as error:
            raise RunError(
                f"{self.log_path} cannot be written at step {self.step}: {error}. {self._how_to_go_on()}"
            ) from error

    def _how_to_go_on(self) -> str:
        stays = "The last checkpoint stays" if self.path.exists() else "There is no earlier checkpoint"
        return f"{stays}; free some space, then the same command goes on."

    def save(self) -> None:
        """Write the checkpoint in one step; raises RunError if it cannot be written, and the last one stays."""
        state = {
            "config": asdict(self.config),
            "agents": self.agents.state(),
            "qpos": torch.from_numpy(self.simulation.state.qpos),
            "qvel": torch.from_numpy(self.simulation.state.qvel),
            "torso": torch.from_numpy(self.simulation.state.torso),
            "counters": torch.from_numpy(np.stack([self.ages, self.returns, self.last_returns])),
            "resets": _portable(self.resets.bit_generator.state),
            "step": self.step,
            "snapshots": self.snapshots,
            "log": self.log,
        }
        try:
            write_atomically(self.path, lambda path: _write(path, state))
        except (OSError, RuntimeError) as error:
            raise RunError(
                f"the checkpoint {self.path} of step {self.step} cannot be written: {error}. {self._how_to_go_on()}"
            ) from error

    def load(self) -> None:
        """Go on from the checkpoint, where there is one; raises CheckpointError if it does not fit."""
        if not self.path.exists():
            return
        try:
            state: dict[str, Any] = torch.load(self.path, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
            raise CheckpointError(
                f"{self.path} cannot be read ({error}); delete it to train these tasks from the start."
            ) from error
        if state["config"] != asdict(self.config):
            raise CheckpointError(
                f"{self.path} belongs to another recipe ({state['config']}); choose another --out, or delete it."
            )
        self.agents.load_state(state["agents"])
        self.simulation.reset(state["qpos"].numpy(), state["qvel"].numpy())
        self.simulation.state.torso[:] = state["torso"].numpy()
        self.observations = torch.from_numpy(
            self.family.observation(self.simulation.state).astype(np.float32)
        )
        self.ages, self.returns, self.last_returns = (row.copy() for row in state["counters"].numpy())
        self.resets.bit_generator.state = _arrays(state["resets"])
        self.step, self.snapshots, self.log = state["step"], state["snapshots"], state["log"]


def _write(path: Path, state: dict[str, Any]) -> None:
    with path.open("wb") as file:
        torch.save(state, file)


def _portable(state: Any) -> Any:
    """A generator's state with lists for arrays, which a weights-only checkpoint can hold."""
    if isinstance(state, dict):
        return {key: _portable(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _arrays(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _arrays(value) for key, value in state.items()}
    return np.array(state, dtype=np.uint64) if isinstance(state, list) else state


def _train(config: CollectConfig, number: int, out: Path, parent: "connection.Connection[Any, Any]") -> None:
    """A worker's process: train, then tell the parent the step that was reached, or the error."""
    torch.set_num_threads(1)
    outcome: int | BenchmarkError
    try:
        worker = Worker(config, number, out)
        worker.load()
        worker.run(asked_to_stop=parent.poll)  # true for a word from the parent and for its end
        outcome = worker.step
    except BenchmarkError as error:
        outcome = error
    with suppress(OSError):  # the parent is gone: nobody to tell
        parent.send(outcome)
    if isinstance(outcome, BenchmarkError):
        raise SystemExit(1)


class Workers:
    """The worker processes, as the parent sees them."""

    def __init__(self, config: CollectConfig, out: Path) -> None:
        self.out, self.connections = out, []
        self.processes: list[SpawnProcess] = []
        context = multiprocessing.get_context("spawn")
        # A worker inherits the blocked signals: Ctrl-C in a terminal reaches it too, but it shall listen to the
        # parent alone. The tracker, if it started within the block, would unblock them.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            for number in range(config.workers):
                mine, theirs = context.Pipe()
                process = context.Process(target=_train, args=(config, number, out, theirs))
                process.start()
                theirs.close()  # so that the end of either process is the end of the connection
                self.processes.append(process)
                self.connections.append(mine)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def go_well(self) -> bool:
        """After a second, or as soon as a worker ends: whether some are at work and none has failed."""
        at_work = [process.sentinel for process in self.processes if process.is_alive()]
        connection.wait(at_work, timeout=1.0)
        return bool(at_work) and not any(process.exitcode for process in self.processes)

    def end(self) -> int:
        """Ask those at work to save and exit; returns the step that all have reached, or raises their errors."""
        for mine in self.connections:
            with suppress(OSError):  # it has ended already
                mine.send("stop")
        outcomes = [self._outcome(number) for number in range(len(self.processes))]
        failures = [outcome for outcome in outcomes if isinstance(outcome, BenchmarkError)]
        if failures:
            raise type(failures[0])(" ".join(str(failure) for failure in failures))
        return min(outcome for outcome in outcomes if isinstance(outcome, int))

    def _outcome(self, number: int) -> int | BenchmarkError:
        process = self.processes[number]
        with suppress(EOFError, OSError):  # it has ended without a word
            outcome: int | BenchmarkError = self.connections[number].recv()
            process.join()
            return outcome
        process.join()
        status = process.exitcode or 0
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return RunError(
            f"worker {number} {how} before it was done (is there enough memory?). The last checkpoints in {self.out} "
            "stay; the same command goes on."
        )


def collect(
    config: CollectConfig, out: Path, progress: Callable[[int], None] = lambda step: None
) -> Snapshots:
    """Train all agents, resuming what lies in `out`, and return their snapshots in 16-bit weights.

    `progress` is called about every second with the number of steps that the slowest worker has done. Raises
    Interrupted after SIGINT or SIGTERM, and the error of a worker that fails; the others are stopped and save.
    """
    _claim(out)
    logs = [out / f"worker-{number}.csv" for number in range(config.workers)]
    with noticed_signals() as received:
        workers = Workers(config, out)
        try:
            while not received and workers.go_well():
                progress(min(_logged_step(log) for log in logs))
        finally:
            step = workers.end()
        if received:
            raise Interrupted(received[0], step, out, "The same command goes on.")
    return gather(config, out)


def _claim(out: Path) -> None:
    """Make the folder; raises RunError if it cannot be written, before hours of training are lost."""
    probe = out / "writable"
    try:
        write_text(probe, "")
        probe.unlink()
    except OSError as error:
        raise RunError(f"the folder {out} cannot be written: {error}. Choose another --out.") from error


def _logged_step(path: Path) -> int:
    if not path.exists():
        return 0
    last = path.read_text().splitlines()[-1].split(",")[0]
    return int(last) if last.isdigit() else 0


def gather(config: CollectConfig, out: Path) -> Snapshots:
    """Put the snapshots of all workers together, tasks in order; raises CheckpointError if one is not done."""
    family = families.family(config.family)
    by_task: dict[int, list[list[torch.Tensor]]] = {}
    for number in range(config.workers):
        worker = Worker(config, number, out)
        worker.load()
        if worker.step < config.steps:
            raise CheckpointError(
                f"{worker.path} has done {worker.step} of {config.steps} steps; run collect again."
            )
        for lane, task in enumerate(worker.tasks):
            by_task[task] = [
                [weight[lane] for weight in worker.snapshots[step]] for step in config.snapshot_steps
            ]
    return Snapshots.from_weights(
        family.id,
        config.snapshot_steps,
        config.sac.random_steps,
        [by_task[task] for task in range(family.tasks)],
    )
