"""What the speed tests and the speed table measure, each prepared once and then called again and again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import torch
from mujoco.rollout import Rollout

from benchmark import families
from benchmark.algorithm import FamilyDescription
from benchmark.data.dataset import Dataset
from benchmark.data.record import Recording, record
from benchmark.data.sac import BatchedSac, SacConfig
from benchmark.data.sampler import Sampler
from benchmark.data.snapshots import Snapshots, shipped_path
from benchmark.evaluation import Evaluator
from benchmark.families.stepping import cores
from benchmark.protocol import ContextChoice
from benchmark.randomness import numpy_stream, torch_stream
from benchmark.recorded_steps import step_maker
from benchmark.registry import find_algorithm
from macaw.algorithm import Macaw, MacawConfig
from macaw.optimizer import Adam
from tests.macaw import naive

CPU = torch.device("cpu")
CHEETAH = families.family("cheetah-vel")
PAPER = FamilyDescription(CHEETAH.id, 20, 6, 200, 35, False)


@dataclass(frozen=True)
class Subject:
    """Something to time."""

    call: Callable[[], Any]
    work: float
    """Units of work in one call."""
    unit: str
    """What is counted, such as `env steps`."""


def made_up_data(tasks: int = 40, episodes: int = 100) -> Dataset:
    """Data of the size of cheetah-vel's `small` tier with made-up numbers."""
    random = numpy_stream(0, "speed")
    rows = tasks * episodes * 200
    return Dataset(
        id="made-up",
        observations=random.standard_normal((rows + tasks * episodes, 20), np.float32),
        actions=random.random((rows, 6), np.float32) * 2 - 1,
        rewards=random.standard_normal(rows, np.float32),
        log_probs=np.zeros(rows, np.float32),
        tasks=np.repeat(np.arange(tasks, dtype=np.int32), episodes),
        snapshots=np.zeros(tasks * episodes, np.int32),
        lengths=np.full(tasks * episodes, 200, np.int32),
        terminated=np.zeros(tasks * episodes, np.bool_),
    )


def raw_physics() -> Subject:
    """`mj_step` and nothing else on all cores: open-loop episodes of random actions in its threads."""
    model, lanes, steps = CHEETAH.model(0), 10 * cores(), 200
    random = numpy_stream(0, "speed")
    states = [np.concatenate([[0.0], *CHEETAH.reset(random)]) for _ in range(lanes)]
    actions = np.repeat(random.uniform(-1, 1, (lanes, steps, 6)), CHEETAH.frame_skip, axis=1)
    data = [mujoco.MjData(model) for _ in range(cores())]
    simulator = Rollout(nthread=cores())
    return Subject(
        lambda: simulator.rollout(model, data, np.stack(states), actions), lanes * steps, "env steps"
    )


def evaluation() -> Subject:
    """Five tasks x 20 episodes x 200 steps, adapted and un-adapted, MACAW's policy included, all cores."""
    torch.set_num_threads(cores())
    random = torch_stream(0, "speed")
    algorithm = Macaw(MacawConfig(), PAPER, CPU, random)
    data = made_up_data(episodes=3)
    evaluator = Evaluator(CHEETAH, CHEETAH.split("standard").test, lambda tier: data, 0.99, CPU, random)
    return Subject(lambda: evaluator.evaluate(algorithm, ContextChoice()), 2 * 5 * 20 * 200, "env steps")


def recording() -> Subject:
    """Recording one episode of every snapshot and more of some: five tasks of `mixed`, all cores."""
    family = families.family("cheetah-dir")
    shipped = Snapshots.load(shipped_path(family.name))
    plan = Recording(family, shipped, "mixed", 20_000)
    return Subject(lambda: record(plan, "speed"), 20_000 * family.tasks, "env steps")


def sampling() -> Subject:
    """Five tasks x 512 transitions, all cores."""
    torch.set_num_threads(cores())
    scale = CHEETAH.observation_scale
    sampler = Sampler(made_up_data(), range(35), 0.99, CPU, torch_stream(0, "speed"), scale)
    return Subject(lambda: sampler.transitions(sampler.sample_tasks(5), 512), 1, "batches of 5 x 512")


def behaviour(product_type: torch.dtype) -> Subject:
    """Updates of 20 agents at 128-128, one thread."""
    torch.set_num_threads(1)
    agents = BatchedSac(
        20, CHEETAH.observation_scale, 6, 2000, SacConfig(), torch_stream(0, "speed"), product_type
    )
    agents.replay.rows.normal_(generator=agents.random)
    agents.replay.stored = 2000

    def call() -> int:
        with torch.no_grad():
            for _ in range(20):
                agents.update()
        return agents.updates

    return Subject(call, 20 * 20, "agent updates, one core")


def meta_step(tasks: int) -> Subject:
    """MACAW's meta-step at the paper's sizes: `tasks` x (256 + 256), float32, all cores."""
    torch.set_num_threads(cores())
    algorithm = Macaw(MacawConfig(tasks_per_step=tasks), PAPER, CPU, torch_stream(0, "speed"))
    sampler = Sampler(made_up_data(), range(35), 0.99, CPU, torch_stream(0, "speed data"))
    return Subject(lambda: algorithm.update(sampler), 1, "meta-steps")


def step(name: str, **settings: Any) -> Subject:
    """A step of a method at the published sizes, all cores."""
    torch.set_num_threads(cores())
    kind = find_algorithm(name)
    algorithm = kind(kind.Config(**settings), PAPER, CPU, torch_stream(0, "speed"))
    sampler = Sampler(made_up_data(), range(35), 0.99, CPU, torch_stream(0, "speed data"))
    return Subject(lambda: algorithm.update(sampler), 1, "steps")


def gpu_steps(name: str, recorded: bool) -> Subject:
    """Steps of a method on a GPU at the published sizes, recorded and replayed, or one operation at a time."""
    device, steps = torch.device("cuda"), 200 if recorded else 20
    generators = [torch_stream(0, "speed", device=device), torch_stream(0, "speed data", device=device)]
    kind = find_algorithm(name)
    algorithm = kind(kind.Config(), PAPER, device, generators[0])
    sampler = Sampler(made_up_data(), range(35), 0.99, device, generators[1])
    make_step = step_maker(algorithm, sampler, generators, device)

    def call() -> None:
        for step in range(steps):
            make_step(step) if recorded else algorithm.update(sampler)
        torch.cuda.synchronize()

    return Subject(call, steps, "steps")


def matrix_product() -> Subject:
    """Two square matrices of 1024, float32, all cores."""
    torch.set_num_threads(cores())
    one = torch.randn(1024, 1024, generator=torch_stream(0, "speed"))
    return Subject(lambda: one @ one, 2 * 1024**3 / 1e9, "GFLOP")


def naive_meta_step() -> Subject:
    """The same with the oracle of the tests: task after task, adapted weights formed, double backward."""
    torch.set_num_threads(cores())
    algorithm = Macaw(MacawConfig(), PAPER, CPU, torch_stream(0, "speed"))
    config, state = algorithm.config, algorithm.state()
    sampler = Sampler(made_up_data(), range(35), 0.99, CPU, torch_stream(0, "speed data"))
    optimizers = {
        "value": Adam(state["value"], config.value_outer_lr),
        "policy": Adam(state["policy"] + state["head"], config.policy_outer_lr),
        "hyper": Adam([state[name] for name in naive.RAW], config.hyper_lr),
    }

    def call() -> object:
        tasks = sampler.sample_tasks(config.tasks_per_step)
        inner, outer = sampler.contiguous(tasks, 256), sampler.transitions(tasks, 256)
        step = naive.meta_step(config, PAPER.train_tasks, state, inner, outer)
        for part, optimizer in optimizers.items():
            optimizer.step(step[part])
        return step

    return Subject(call, 1, "meta-steps")


SUITE: dict[str, Callable[[], Subject]] = {
    "raw mj_step": raw_physics,
    "evaluation": evaluation,
    "recording": recording,
    "sampling": sampling,
    "behaviour float32": lambda: behaviour(torch.float32),
    "behaviour bfloat16": lambda: behaviour(torch.bfloat16),
}
