"""The contract between the suite and a method: everything a method is given, and all it must answer.

A method is a class like this one (inherit from `Algorithm`, or just have the same members):

    class MyMethod(Algorithm):
        name, version = "my-method", 1
        Config = MyConfig                       # a frozen dataclass; its fields are what --set key=value sets

        def __init__(self, config, family, device, random): ...
        def update(self, data) -> metrics       one meta-training step
        def adapt(self, context) -> policy      several test tasks at once
        def state(self) / load_state(self, s)   everything that resuming needs

Shapes. Every tensor has a leading *task* dimension, also when there is one task only:

    Transitions.observations        (task, batch, observation)      float32
    Transitions.rewards, ...        (task, batch)                   float32
    policy(observations)            (task, lane, observation) -> (task, lane, action), actions in [-1, 1]

Observations reach a method in fixed units: multiplied by constants of the family (`Family.observation_scale`) that
bring every component to the order of one. They are part of the family's definition, not computed from any data, and
the same in training batches, contexts and at test. Recorded data and the Gymnasium environments hold raw ones.

What a method may know. During `update`: the data of the train tasks, which it addresses by *slot*
0 ... `family.train_tasks` - 1. During `adapt`: the context and nothing else; which task it is, is never told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

Policy = Callable[[Tensor], Tensor]
"""Observations (task, lane, observation) to actions (task, lane, action).

It is called once per time step, from the first step of an episode on, for one episode per lane, and then
dropped: a policy may keep a history, in itself, not in the method: several of one method act side by side.
"""

Metrics = Mapping[str, Tensor]
"""Scalar tensors on the device, at least `loss`; the suite reads them every k steps, so that no step waits."""


LifePart = Literal["all", "early", "middle", "late", "random"]
"""The whole of the behaviour's training life; its first, second or third third; or data of uniformly random actions."""


VECTORS = ("observations", "actions", "next_observations", "final_observations")
NUMBERS = ("rewards", "terminated", "returns", "final_discounts")
"""Names of the tensors of `Transitions`: those that have a last dimension of their own, and those that have none."""


@dataclass(frozen=True)
class FamilyDescription:
    """What a method is told of a task family before it sees data."""

    name: str
    """Identity with version, such as `cheetah-vel-v1`."""
    observation_size: int
    """Length of an observation vector."""
    action_size: int
    """Length of an action vector; every component lies in [-1, 1]."""
    horizon: int
    """Steps after which an episode is truncated."""
    train_tasks: int
    """Number of train tasks: the slots are 0 ... train_tasks - 1."""
    dynamics_differ: bool
    """Whether tasks differ in their dynamics (not only in their rewards)."""

    def check_context(self, context: Transitions) -> None:
        """ValueError unless its observations and actions have the family's lengths.

        Arithmetic alone does not notice all others: actions of one component are broadcast.
        """
        for name in VECTORS:
            expected = self.action_size if name == "actions" else self.observation_size
            shape = tuple(getattr(context, name).shape)
            if len(shape) != 3 or shape[-1] != expected:
                raise ValueError(
                    f"{name} of the context are {shape}; {self.name} has (task, batch, {expected})."
                )


@dataclass(frozen=True)
class Transitions:
    """A batch of transitions of several tasks, each with what its episode became afterwards.

    In the drawing k is the number of steps from this transition to the end of its episode:

        s, a  ->  r, s', terminated     return = r_0 + gamma r_1 + ... + gamma^(k-1) r_(k-1)
                                        R + gamma^k V(s_end):  return + final_discount * V(final_observation)
    """

    observations: Tensor
    """(task, batch, observation)"""
    actions: Tensor
    """(task, batch, action), in [-1, 1]"""
    rewards: Tensor
    """(task, batch)"""
    next_observations: Tensor
    """(task, batch, observation)"""
    terminated: Tensor
    """(task, batch), 1 where s' is a true terminal state and 0 elsewhere; a time limit is not a terminal state."""
    returns: Tensor
    """(task, batch), discounted Monte-Carlo return from this transition to the end of its episode."""
    final_observations: Tensor
    """(task, batch, observation), the last observation of the episode."""
    final_discounts: Tensor
    """(task, batch), gamma^k; zero where the episode ended in a true terminal state."""

    def __post_init__(self) -> None:
        """ValueError where a tensor is of other tasks, or of another number of transitions, than the observations."""
        own = self.observations.shape[:-1]
        for name in VECTORS:
            if getattr(self, name).shape[:-1] != own:
                raise self._other_shape(name, (*own, "..."))
        for name in NUMBERS:
            if getattr(self, name).shape != own:
                raise self._other_shape(name, own)

    def _other_shape(self, name: str, expected: Sequence[int | str]) -> ValueError:
        found, wanted = (str(tuple(one)).replace("'", "") for one in (getattr(self, name).shape, expected))
        shape = tuple(self.observations.shape)
        return ValueError(f"{name} are {found} beside observations {shape}; they must be {wanted}.")

    @property
    def tasks(self) -> int:
        """Number of tasks, the leading dimension."""
        return self.observations.shape[0]

    @property
    def size(self) -> int:
        """Number of transitions per task; zero for an empty context."""
        return self.observations.shape[1]

    def with_scaled_observations(self, scale: Tensor) -> Transitions:
        """The same transitions with every observation multiplied by `scale` (observation,)."""
        names = ("observations", "next_observations", "final_observations")
        return replace(self, **{name: getattr(self, name) * scale for name in names})

    def every(self, stride: int) -> Transitions:
        """The first of every `stride` transitions of each task."""
        return self if stride == 1 else self.map(lambda tensor: tensor[:, ::stride].contiguous())

    def map(self, function: Callable[[Tensor], Tensor]) -> Transitions:
        """The same function applied to every tensor, such as `lambda x: x[:1]` or `lambda x: x[:, :64]`."""
        return Transitions(**{f.name: function(getattr(self, f.name)) for f in fields(self)})


@runtime_checkable
class TrainingData(Protocol):
    """The offline data of the train tasks, as `update` draws from it. All tensors are on the run's device."""

    tasks: int
    """Number of train tasks."""

    def sample_tasks(self, count: int) -> Tensor:
        """`count` different slots (all slots where there are fewer), int64 (task,), drawn uniformly."""
        ...

    def transitions(self, tasks: Tensor, size: int) -> Transitions:
        """`size` transitions per task drawn uniformly with replacement from all of the task's data."""
        ...

    def contiguous(self, tasks: Tensor, size: int, part: LifePart = "all") -> Transitions:
        """`size` consecutive transitions per task, from one random place in that part of the training life."""
        ...


@dataclass(frozen=True)
class AlgorithmConfig:
    """What every method's configuration has; inherit from it to add hyper-parameters."""

    discount: float = 0.99
    """Discount factor gamma; the suite computes `Transitions.returns` with it."""


class FineTuner(Protocol):
    """A method that goes on learning in several test tasks at once, from what it gathers there itself."""

    def explore(self) -> Policy:
        """The policy that gathers the next episode of each task."""
        ...

    def learn(self, data: TrainingData) -> None:
        """Learn between two rounds of gathering; slot k of `data` holds all that was gathered in task k."""
        ...

    def policy(self) -> Policy:
        """The deterministic policy as it is now; learning on does not change it."""
        ...


class Algorithm:
    """Base class of methods; see the module's text. Subclasses implement what raises NotImplementedError."""

    name: ClassVar[str]
    """Name in result files."""
    version: ClassVar[int] = 1
    """Raised whenever the same configuration can give other numbers."""
    Config: ClassVar[type[AlgorithmConfig]] = AlgorithmConfig
    """Frozen dataclass of the hyper-parameters."""
    further_tests: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Settings of adaptation that a trained method is also tested with, each in result rows of its own."""
    fixed_steps: ClassVar[bool] = False
    """Whether `update` is the same operations on the same tensors in every step, and waits for no number: no counter,
    no `if step % 2`, every learned tensor changed in place. On a GPU the suite then records one step and replays it."""
    online_settings: ClassVar[Mapping[str, Any]] = {}
    """Settings of the protocol `online-finetune` where they are not given."""

    def __init__(
        self, config: Any, family: FamilyDescription, device: torch.device, random: torch.Generator
    ) -> None:
        """Build networks and optimizers on `device`; draw every random number from `random` (on `device`).

        Also those that layers of `torch.nn` begin with, which PyTorch draws from its global generator if left alone.
        """

    def update(self, data: TrainingData) -> Metrics:
        """One meta-training step, on `device`, without waiting for a number (no `.item()`, no `if loss > 0`).

        Every metric that a step gives, all others give too. Batches are the method's own: it may change them.
        """
        raise NotImplementedError

    def adapt(self, context: Transitions) -> Policy:
        """A policy for each task of the context, deterministic; an empty context gives the un-adapted one.

        Whatever is drawn for it is drawn here, not while it acts.
        Must leave the method and the context as they were: it is called in the middle of training. Tests are on the
        processor, so here a method may wait for a number. A context with vectors of other lengths than the family's is
        an error, which `FamilyDescription.check_context` raises.
        """
        raise NotImplementedError

    def explore(self, context: Transitions) -> Policy:
        """The policy that gathers the next episode of an `online` context; by default the adapted policy."""
        return self.adapt(context)

    def informed(self, slots: Tensor) -> Policy | None:
        """The policies of train tasks (slot,) by a method that can be told which task it is; None if it cannot.

        An oracle that results are compared with, not a part of the protocol.
        """
        return None

    def fine_tuner(self, context: Transitions) -> FineTuner | None:
        """The method adapted to the context, ready to learn on online; None where it cannot."""
        return None

    def state(self) -> dict[str, Any]:
        """Tensors, numbers, strings, and dicts and lists of them: everything resuming needs, but `random`.

        All numbers in it are finite; a run with others has diverged, and ends.
        """
        raise NotImplementedError

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` gave; afterwards the method goes on bit for bit as the saved one would have.

        A state that lacks a part, or has one of another shape, is an error here, or at the latest in what follows.
        """
        raise NotImplementedError
