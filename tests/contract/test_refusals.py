"""What does not fit is refused: by transitions themselves, by methods, and by the checks of what methods let pass."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from benchmark.algorithm import NUMBERS, VECTORS, Algorithm, FamilyDescription, Transitions
from benchmark.contract.checks import resumes_bit_for_bit
from benchmark.contract.data import transitions
from benchmark.contract.refusals import (
    misfits,
    refuses_an_incomplete_state,
    refuses_what_does_not_fit,
)
from benchmark.contract.subject import Broken, Subject
from benchmark.registry import build_config, find_algorithm
from tests.contract.faulty import Config, Faulty
from tests.contract.test_contract import TINY, describe

FAMILY = FamilyDescription("made-up-v1", 5, 2, 20, 4, dynamics_differ=False)


def test_the_names_are_those_of_all_tensors() -> None:
    assert sorted(VECTORS + NUMBERS) == sorted(Transitions.__dataclass_fields__)


@pytest.mark.parametrize("name", VECTORS + NUMBERS)
def test_transitions_of_other_tasks_or_sizes_are_refused(name: str) -> None:
    """What broadcasts too: a single transition or task in the place of several."""
    batch = transitions(FAMILY, 2, 8)
    tensor = getattr(batch, name)
    for other in (tensor[:, :1], tensor[:1], tensor[:, :7], tensor[0], tensor.unsqueeze(-1)):
        with pytest.raises(ValueError, match=" beside observations .*; they must be "):
            replace(batch, **{name: other})


def test_what_is_wrong_with_transitions_is_said() -> None:
    batch = transitions(FAMILY, 2, 8)
    with pytest.raises(
        ValueError, match=r"returns are \(2, 1\) beside .* \(2, 8, 5\); they must be \(2, 8\)"
    ):
        replace(batch, returns=batch.returns[:, :1])
    with pytest.raises(ValueError, match=r"actions are \(1, 8, 2\) .*; they must be \(2, 8, \.\.\.\)"):
        replace(batch, actions=batch.actions[:1])


def test_transitions_that_fit_are_made_in_any_way() -> None:
    @dataclass(frozen=True)
    class Weighted(Transitions):
        weight: float = 1.0

    batch = transitions(FAMILY, 2, 8)
    assert batch.map(lambda tensor: tensor[:, :0]).size == 0
    assert batch.with_scaled_observations(torch.ones(5)).tasks == 2
    assert Weighted(**vars(batch), weight=2.0).size == 8
    assert (
        replace(batch, observations=torch.zeros(2, 8, 9)).size == 8
    )  # with a task's identity behind it, say


@pytest.mark.parametrize("name", VECTORS)
def test_a_context_of_another_family_is_refused(name: str) -> None:
    batch = transitions(FAMILY, 2, 8)
    FAMILY.check_context(batch)
    FAMILY.check_context(batch.map(lambda tensor: tensor[:, :0]))
    tensor = getattr(batch, name)
    for other in (tensor[..., :1], torch.cat([tensor, tensor], -1)):
        with pytest.raises(ValueError, match=f"^{name} of the context are .* made-up-v1 has"):
            FAMILY.check_context(replace(batch, **{name: other}))
    with pytest.raises(ValueError, match="observations of the context"):
        FAMILY.check_context(batch.map(lambda tensor: tensor[0]))


@pytest.mark.parametrize("algorithm", ["macaw", "meta-bc", "multitask-awr", "behaviour-cloning"])
def test_methods_that_would_broadcast_actions_look_at_their_context(algorithm: str) -> None:
    """Where tests run, the shape checker refuses most of it too, so what counts is the message."""
    kind = find_algorithm(algorithm)
    ablation = {"advantage_head": False} if algorithm == "macaw" else {}  # its head does not broadcast
    subject = Subject(kind, build_config(kind, TINY[algorithm] | ablation), describe("cheetah-vel"))
    batch = subject.context(2, 20)
    for wrong in (
        replace(batch, actions=batch.actions[..., :1]),
        replace(batch, next_observations=batch.actions),
    ):
        with pytest.raises(ValueError, match=r"of the context are .* cheetah-vel-v\d+ has"):
            subject.build().adapt(wrong)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("width", "the policy took observations of another length"),
        (
            "one-action",
            r"adapt took a context with actions of length 1 in place of 2 without an error; begin it",
        ),
        ("longer-observations", "adapt took a context with observations of length 5 in place of 4"),
    ],
)
def test_what_a_method_takes_is_named(fault: str, message: str) -> None:
    with pytest.raises(Broken, match=message):
        refuses_what_does_not_fit(Subject(Faulty, Config(fault=fault), describe("point-robot")))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("loads", "took a state without anything in it, and went on"),
        ("begins-counting-anew", "took a state without 'steps', and went on"),
        ("broadcasts", r"took a state with 'weight' of shape \(1, 2\) in place of \(4, 2\), and went on"),
    ],
)
def test_the_part_of_a_state_that_is_not_missed_is_named(fault: str, message: str) -> None:
    with pytest.raises(Broken, match=message):
        refuses_an_incomplete_state(Subject(Faulty, Config(fault=fault), describe("point-robot")))


class Ignoring(find_algorithm("behaviour-cloning")):  # type: ignore[misc]
    """Begins with new moments of its optimizer where it is given none."""

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state({"adam": self.state()["adam"], **state})


def test_an_optimizers_state_that_is_not_missed_is_noticed() -> None:
    assert issubclass(Ignoring, Algorithm)
    subject = Subject(Ignoring, build_config(Ignoring, TINY["behaviour-cloning"]), describe("point-robot"))
    with pytest.raises(Broken, match="took a state without 'adam', and went on"):
        refuses_an_incomplete_state(subject)


class OfLayers(Faulty):
    """Keeps a layer and its optimizer as PyTorch saves them; both take states that lack what they can begin with."""

    def __init__(
        self, config: Any, family: FamilyDescription, device: torch.device, random: torch.Generator
    ) -> None:
        super().__init__(config, family, device, random)
        self.norm = torch.nn.BatchNorm1d(2)
        self.sgd = torch.optim.SGD(self.norm.parameters(), 0.1, momentum=0.9)

    def update(self, data: Any) -> Any:
        self.sgd.zero_grad()
        self.norm(torch.rand(4, 2, generator=self.random)).square().sum().backward()
        self.sgd.step()
        return super().update(data)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "norm": self.norm.state_dict(), "sgd": self.sgd.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.norm.load_state_dict(state["norm"])
        self.sgd.load_state_dict(state["sgd"])


def test_what_pytorch_makes_do_with_is_not_held_against_a_method() -> None:
    subject = Subject(OfLayers, Config(), describe("point-robot"))
    state, later = (subject.trained(steps).state() for steps in (2, 3))
    assert "without 'norm/running_mean'" in dict(misfits(state, later))
    refuses_an_incomplete_state(subject)
    resumes_bit_for_bit(subject)


def test_each_part_of_a_state_is_altered_in_turn_but_for_what_grows() -> None:
    state = {
        "weights": [torch.zeros(2, 3), torch.zeros(1)],
        "scale": torch.zeros(()),
        "adam": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]},
        "seen": [torch.zeros(2)],
        "buffer": torch.zeros(4, 2),
        "steps": 2,
    }
    later = state | {"seen": [torch.zeros(2)] * 2, "buffer": torch.zeros(6, 2), "steps": 4}
    found = dict(misfits(state, later))
    assert list(found) == [
        "without anything in it",
        "without 'weights'",
        "without 'weights/0'",
        "with 'weights/0' of shape (3, 3) in place of (2, 3)",
        "with 'weights/0' of shape (1, 3) in place of (2, 3)",
        "without 'weights/1'",
        "with 'weights/1' of shape (2,) in place of (1,)",
        "without 'scale'",
        "with 'scale' of shape (2,) in place of ()",
        "without 'adam'",
        "without 'seen'",
        "without 'buffer'",
        "without 'steps'",
    ]
    assert found["without anything in it"] == {}
    assert found["without 'adam'"] == {name: part for name, part in state.items() if name != "adam"}
    assert [tuple(one.shape) for one in found["without 'weights/0'"]["weights"]] == [(1,)]
    assert state.keys() == found["with 'scale' of shape (2,) in place of ()"].keys()
