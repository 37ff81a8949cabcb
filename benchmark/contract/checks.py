"""What every method must fulfil, one function per promise; each raises Broken with what was found.

`python -m benchmark check my_method.py:MyMethod` runs them on a class that nobody knows, the tests on all built-in
ones and all families. They use made-up data of a family's shapes, so they take seconds.
"""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmark import calls
from benchmark.algorithm import Algorithm, Transitions
from benchmark.checkpoint import not_finite
from benchmark.contract.comparing import copied, no_draws_from_elsewhere, same, same_everywhere
from benchmark.contract.data import FixedData, RandomData, transitions
from benchmark.contract.subject import LANES, Broken, Subject
from benchmark.errors import AlgorithmError


def trains_with_finite_loss(subject: Subject) -> None:
    """`update` gives scalar metrics with a finite `loss`."""
    method, data = subject.build(), subject.data()
    for step in range(3):
        for name, value in calls.update(method, data, step + 1).items():
            if not value.isfinite():
                raise Broken(f"metric '{name}' is {float(value)} in step {step + 1}")


def loss_falls_on_a_fixed_batch(subject: Subject) -> None:
    """Trained on one batch again and again, the loss goes down."""
    inner, outer = (transitions(subject.family, subject.family.train_tasks, 64, seed) for seed in (1, 2))
    method, data = subject.build(), FixedData(subject.family, inner, outer)
    losses = [float(calls.update(method, data, step + 1)["loss"]) for step in range(subject.falling_steps)]
    tenth = max(subject.falling_steps // 10, 1)
    first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    if not last < first:
        raise Broken(f"the loss went from {first:.6g} to {last:.6g} in {subject.falling_steps} steps")


def adapts_to_any_context(subject: Subject) -> None:
    """An empty context, one transition, a few and many give finite actions of the right shape."""
    method = subject.trained()
    for size in (0, 1, 2, 256, 1000):
        subject.act(method, subject.context(2, size))


def explores_from_any_context(subject: Subject) -> None:
    """What gathers episodes acts as a policy does, without a context and with one."""
    method, observations = subject.trained(), subject.observations(1)
    for size in (0, 60):
        subject.acted(method, calls.explore(method, subject.context(1, size)), observations)


def is_a_policy_where_it_is_told_the_task(subject: Subject) -> None:
    """`informed`, where a method has it, gives policies of train tasks."""
    method, slots = subject.trained(), torch.arange(2)
    policy = calls.informed(method, slots)
    if policy is not None:
        subject.acted(method, policy, subject.observations(len(slots)))


def an_empty_context_tells_nothing(subject: Subject) -> None:
    """Without a context every task gets the same policy."""
    observations = subject.observations(1).expand(3, -1, -1).contiguous()
    actions = subject.act(subject.trained(), subject.context(3, 0), observations)
    same("tasks without a context act differently", actions, actions[:1].expand_as(actions))


def acts_alike_twice(subject: Subject) -> None:
    """`adapt` is deterministic but for what it draws from `random`, and changes neither context nor observations."""
    acting, context, observations = _Acting(subject), subject.context(2, 60), subject.observations(2)
    given = {"context": vars(context), "observations": observations}
    kept = copied(given)
    first = acting(context, observations)
    same_everywhere("acting changed what it was given", given, kept)
    same("the same context gave another policy", acting(context, observations), first)


def policies_keep_to_themselves(subject: Subject) -> None:
    """Policies of one method act side by side as each does alone, and draw nothing while they act."""
    acting, observations = _Acting(subject), subject.observations(2)

    def actions(*steps: int) -> list[list[Tensor]]:
        """What each of two new policies answers, which are asked in this order."""
        acting.start_anew()
        policies = [calls.adapt(acting.method, subject.context(2, size)) for size in (60, 0)]
        drawn = acting.random.get_state()
        found: list[list[Tensor]] = [[], []]
        for which in steps:
            seen = (
                (1, -1)[which] * observations / (1 + len(found[which]))
            )  # of its own, another in every step
            found[which].append(copied(subject.acted(acting.method, policies[which], seen)))
        if not torch.equal(acting.random.get_state(), drawn):
            raise Broken("a policy drew from `random` while it acted: draw in adapt, once")
        return found

    (first, _), (_, second), together = actions(0, 0, 0), actions(1, 1, 1), actions(0, 1, 0, 1, 0, 1)
    for alone, beside in zip((first, second), together, strict=True):
        for one, other in zip(alone, beside, strict=True):
            same(
                "a policy acts differently alone and beside another: keep a history in the policy", other, one
            )


def permuting_tasks_permutes_results(subject: Subject) -> None:
    """The order in which tasks are adapted does not matter."""
    acting, context, observations = _Acting(subject), subject.context(4, 60), subject.observations(4)
    order = torch.tensor([2, 0, 3, 1])
    together = acting(context, observations)
    permuted = acting(context.map(lambda tensor: tensor[order]), observations[order])
    same("tasks in another order act differently", permuted, together[order])


def company_does_not_matter(subject: Subject) -> None:
    """A task adapts alike alone and among others, and an episode goes alike: nothing of another one reaches it."""
    acting, context, observations = _Acting(subject), subject.context(4, 60), subject.observations(4)
    together = acting(context, observations)
    for task in range(4):
        one = slice(task, task + 1)
        alone = acting(_only(context, one), observations[one])
        same(f"task {task} acts differently alone and among others", alone, together[one])
    for lane in range(LANES):
        one = slice(lane, lane + 1)
        alone = acting(context, observations[:, one])
        same("an episode goes differently alone and beside others", alone, together[:, one])


class _Acting:
    """A trained method's actions after adapting, which begins at the same state of `random` every time."""

    def __init__(self, subject: Subject) -> None:
        self._subject, self.random = subject, torch.Generator().manual_seed(0)
        self.method = subject.trained(random=self.random)
        self._before = self.random.get_state()

    def __call__(self, context: Transitions, observations: Tensor) -> Tensor:
        self.start_anew()
        return self._subject.act(self.method, context, observations)

    def start_anew(self) -> None:
        """Put `random` back to where it was after training."""
        self.random.set_state(self._before)


def _only(context: Transitions, tasks: slice) -> Transitions:
    return context.map(lambda tensor: tensor[tasks])


def adapting_leaves_the_method_as_it_was(subject: Subject) -> None:
    """Neither `adapt` nor acting changes anything: training goes on as if they had not been."""
    randoms = [torch.Generator().manual_seed(0) for _ in range(2)]
    method, other = (subject.trained(random=random) for random in randoms)
    before = copied(calls.state(method))
    for size in (0, 50):
        subject.act(method, subject.context(2, size))
    same_everywhere("adapt changed the method's state", calls.state(method), before)
    randoms[0].set_state(randoms[1].get_state())  # as the suite does
    same_everywhere("after adapt, training differs", *(_goes_on(subject, one, 3) for one in (method, other)))


def goes_online_from_the_adapted_policy(subject: Subject) -> None:
    """A fine-tuner, where there is one, begins at the adapted policy, learns, and leaves the method as it was."""
    acting, context, observations = _Acting(subject), subject.context(2, 60), subject.observations(2)
    method = acting.method
    adapted = acting(context, observations)
    before = copied(calls.state(method))
    acting.start_anew()
    learner = calls.fine_tuner(method, context)
    if learner is None:
        return
    subject.acted(method, calls.exploring(method, learner), observations)
    policy, kept = (calls.learned(method, learner) for _ in range(2))  # each acts once: it may have a history
    actions = subject.acted(method, policy, observations)
    same("the fine-tuner's policy is not the adapted one", actions, adapted)
    calls.learn(method, learner, RandomData(replace(subject.family, train_tasks=2), per_task=300))
    for later in (calls.exploring(method, learner), calls.learned(method, learner)):
        subject.acted(method, later, observations)
    same_everywhere(
        "learning on changed a policy given before", subject.acted(method, kept, observations), actions
    )
    same_everywhere("the fine-tuner changed the method's state", calls.state(method), before)


def is_tested_with_further_settings(subject: Subject) -> None:
    """Built with each setting of `further_tests`, it loads what was learned, adapts, explores and acts."""
    method = subject.trained()
    for changes in method.further_tests:
        try:
            config = calls.call(f"{method.name}.Config", partial(replace, subject.config, **changes))
            other = replace(subject, config=config).build()
            calls.load_state(other, copied(calls.state(method)))
            for size in (0, 60):
                context, observations = subject.context(2, size), subject.observations(2)
                for policy in (calls.adapt(other, context), calls.explore(other, context)):
                    subject.acted(other, policy, observations)
        except AlgorithmError as error:
            raise Broken(f"with the further setting {dict(changes)}: {error}") from error


def resumes_bit_for_bit(subject: Subject) -> None:
    """Saved by torch, loaded into a new instance, it acts and goes on as if it had never stopped."""
    randoms = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    method, other = subject.trained(4, randoms[0]), subject.build(randoms[1])
    broken = not_finite(calls.state(method))
    if broken:
        raise Broken(f"{broken} is not finite: no such state is saved")
    file = io.BytesIO()
    torch.save(calls.state(method), file)
    file.seek(0)
    calls.load_state(other, torch.load(file, weights_only=True))
    same_everywhere("load_state did not restore what state gave", calls.state(other), calls.state(method))
    for what, steps in (("after loading, it acts differently", 0), ("after loading, training differs", 4)):
        randoms[1].set_state(randoms[0].get_state())  # as the suite does
        same_everywhere(what, *(_goes_on(subject, one, steps) for one in (method, other)))


def is_repeatable(subject: Subject) -> None:
    """The same seed and data give the same, bit for bit, and nothing is drawn but from `random`."""
    with no_draws_from_elsewhere():
        one, other = (_goes_on(subject, subject.build(), 3) for _ in range(2))
    same_everywhere("two instances of the same seed differ: draw from `random` alone", one, other)


CHECKS: tuple[Callable[[Subject], None], ...] = (
    trains_with_finite_loss,
    loss_falls_on_a_fixed_batch,
    adapts_to_any_context,
    explores_from_any_context,
    is_a_policy_where_it_is_told_the_task,
    an_empty_context_tells_nothing,
    acts_alike_twice,
    policies_keep_to_themselves,
    permuting_tasks_permutes_results,
    company_does_not_matter,
    adapting_leaves_the_method_as_it_was,
    goes_online_from_the_adapted_policy,
    is_tested_with_further_settings,
    resumes_bit_for_bit,
    is_repeatable,
)


def _goes_on(subject: Subject, method: Algorithm, steps: int) -> dict[str, Any]:
    """What shows of a method after so many more steps: its metrics, its state, and how it acts."""
    data = subject.data()
    metrics = [calls.update(method, data, step + 1) for step in range(steps)]
    acting: dict[str, Tensor] = {
        f"actions after {size} transitions": subject.act(method, subject.context(2, size)) for size in (0, 60)
    }
    found: dict[str, Any] = copied({"metrics": metrics, "state": calls.state(method), **acting})
    return found
