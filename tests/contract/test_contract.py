"""Every built-in method keeps every promise on every family; every promise is noticed when it is broken."""

from typing import Any

import pytest
import torch

from benchmark import families
from benchmark.algorithm import FamilyDescription
from benchmark.contract import ALL_CHECKS, checks, refusals, run_checks
from benchmark.contract.comparing import same_everywhere
from benchmark.contract.data import FixedData, RandomData, transitions
from benchmark.contract.devices import fixed_steps_are_the_same, runs_on_any_device
from benchmark.contract.subject import Broken, Subject
from benchmark.registry import BUILT_IN, build_config, find_algorithm
from tests.contract.faulty import Config, Drawing, Faulty, Remembering, Unbuilt

TINY: dict[str, dict[str, Any]] = {
    "macaw": {
        "hidden_size": 8, "latent_size": 6, "inner_batch": 16, "outer_batch": 12, "policy_outer_lr": 3e-3,
        "value_outer_lr": 3e-3,
    },
    "meta-bc": {"hidden_size": 8, "latent_size": 6, "inner_batch": 16, "outer_batch": 12, "outer_lr": 3e-3},
    "multitask-awr": {
        "hidden_size": 8, "batch": 12, "policy_lr": 3e-3, "value_lr": 3e-3, "adaptation_steps": 4,
        "adaptation_policy_lr": 5e-3,
    },
    "behaviour-cloning": {"hidden_size": 8, "batch": 12},
    "pearl": {
        "hidden_size": 8, "encoder_hidden_size": 8, "batch": 16, "context_size": 12, "tasks_per_step": 3,
        "learning_rate": 3e-3,
    },
}  # fmt: skip
"""Small networks that learn fast, by method."""


@pytest.fixture(autouse=True)
def few_online_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for steps in (
        "baselines.pearl_online.STEPS",
        "macaw.awr.ONLINE_VALUE_STEPS",
        "macaw.awr.ONLINE_POLICY_STEPS",
    ):
        monkeypatch.setattr(steps, 3)


def describe(name: str) -> FamilyDescription:
    family = families.family(name)
    sizes = (family.observation_size, family.action_size, family.horizon)
    return FamilyDescription(
        family.id, *sizes, min(4, len(family.split("standard").train)), family.dynamics_differ
    )


def subject(algorithm: str, family: str) -> Subject:
    kind = find_algorithm(algorithm)
    return Subject(kind, build_config(kind, TINY[algorithm]), describe(family), falling_steps=30)


@pytest.mark.parametrize("family", families.FAMILIES)
@pytest.mark.parametrize("algorithm", TINY)
def test_a_built_in_method_keeps_the_contract(algorithm: str, family: str) -> None:
    broken = {
        verdict.check: verdict.problem
        for verdict in run_checks(subject(algorithm, family))
        if verdict.problem
    }
    assert not broken


def test_every_method_is_held_against_the_contract() -> None:
    """But for the one that looks up the suite's own behaviour, which is no method."""
    assert set(BUILT_IN) - set(TINY) == {"nearest-expert"}


@pytest.mark.parametrize("algorithm", TINY)
def test_its_default_settings_keep_the_contract_too(algorithm: str) -> None:
    """At the published sizes, all but the loss, which falls slowly there."""
    kind = find_algorithm(algorithm)
    whole = Subject(kind, kind.Config(), describe("point-robot"))
    for check in (
        checks.trains_with_finite_loss,
        checks.adapts_to_any_context,
        checks.company_does_not_matter,
    ):
        check(whole)


FAULTS = [
    ("nan", checks.trains_with_finite_loss),
    ("climbs", checks.loss_falls_on_a_fixed_batch),
    ("one", checks.adapts_to_any_context),
    ("shape", checks.adapts_to_any_context),
    ("wide", checks.adapts_to_any_context),
    ("whole-numbers", checks.adapts_to_any_context),
    ("explores-widely", checks.explores_from_any_context),
    ("informed", checks.is_a_policy_where_it_is_told_the_task),
    ("noise", checks.acts_alike_twice),
    ("changes-the-context", checks.acts_alike_twice),
    ("history", checks.policies_keep_to_themselves),
    ("draws-acting", checks.policies_keep_to_themselves),
    ("order", checks.an_empty_context_tells_nothing),
    ("order", checks.permuting_tasks_permutes_results),
    ("company", checks.company_does_not_matter),
    ("lanes", checks.company_does_not_matter),
    ("counts-adapting", checks.adapting_leaves_the_method_as_it_was),
    ("counts", checks.adapting_leaves_the_method_as_it_was),
    ("online", checks.goes_online_from_the_adapted_policy),
    ("online-counts", checks.goes_online_from_the_adapted_policy),
    ("online-earlier", checks.goes_online_from_the_adapted_policy),
    ("online-learns-itself", checks.goes_online_from_the_adapted_policy),
    ("loads", checks.resumes_bit_for_bit),
    ("forgets", checks.resumes_bit_for_bit),
    ("best", checks.resumes_bit_for_bit),
    ("draws", checks.is_repeatable),
    ("draws-globally", checks.is_repeatable),
    ("begins-globally", checks.is_repeatable),
    ("further", checks.is_tested_with_further_settings),
    ("width", refusals.refuses_what_does_not_fit),
    ("one-action", refusals.refuses_what_does_not_fit),
    ("longer-observations", refusals.refuses_what_does_not_fit),
    ("loads", refusals.refuses_an_incomplete_state),
    ("begins-counting-anew", refusals.refuses_an_incomplete_state),
    ("broadcasts", refusals.refuses_an_incomplete_state),
    ("processor", runs_on_any_device),
    ("waits", runs_on_any_device),
    ("every-second", fixed_steps_are_the_same),
    ("slows", fixed_steps_are_the_same),
    ("moves", fixed_steps_are_the_same),
]


def test_every_promise_is_broken_once() -> None:
    assert {check for _, check in FAULTS} == set(ALL_CHECKS)


@pytest.mark.parametrize(("fault", "check"), FAULTS)
def test_a_broken_promise_is_noticed(fault: str, check: Any) -> None:
    with pytest.raises(Broken):
        check(Subject(Faulty, Config(fault=fault), describe("point-robot")))


def test_a_sound_method_passes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts = list(run_checks(Subject(Faulty, Config(), describe("point-robot"))))
    assert len(verdicts) == len(ALL_CHECKS)
    assert not [verdict for verdict in verdicts if verdict.problem]
    assert all(verdict.promise for verdict in verdicts)


@pytest.mark.parametrize("kind", [Remembering, Drawing])
def test_histories_and_draws_are_no_broken_promises(kind: type[Faulty]) -> None:
    verdicts = run_checks(Subject(kind, Config(), describe("point-robot")))
    assert not [verdict for verdict in verdicts if verdict.problem]


def test_a_further_setting_that_fails_is_named() -> None:
    """Also a real one: a network of another size cannot load what was learned."""

    class OtherSizes(find_algorithm("meta-bc")):  # type: ignore[misc]
        further_tests = ({"hidden_size": 16},)

    settings = build_config(OtherSizes, TINY["meta-bc"])
    with pytest.raises(Broken, match=r"setting \{'hidden_size': 16\}: meta-bc.load_state raised ValueError"):
        checks.is_tested_with_further_settings(Subject(OtherSizes, settings, describe("point-robot")))


def test_differences_are_said_with_their_place() -> None:
    one, other = torch.zeros(2), torch.ones(2)
    with pytest.raises(Broken, match=r"^they differ at weights/0$"):
        same_everywhere("they differ", {"weights": [one]}, {"weights": [other]})
    with pytest.raises(Broken, match=r"^they differ$"):
        same_everywhere("they differ", one, other)


def test_what_cannot_be_built_is_said_once() -> None:
    verdicts = list(run_checks(Subject(Unbuilt, Config(), describe("point-robot"))))
    assert [verdict.check for verdict in verdicts] == ["is built"]
    assert "takes 1 positional argument" in str(verdicts[0].problem)


def test_a_crash_says_the_line_of_the_method_and_stops_nothing() -> None:
    problems = [
        one.problem
        for one in run_checks(Subject(Faulty, Config(fault="online-crash"), describe("point-robot")))
    ]
    assert len(problems) == len(ALL_CHECKS)
    broken = [problem for problem in problems if problem]
    assert len(broken) == 1
    assert "ZeroDivisionError at faulty.py, line" in broken[0]


def test_an_answer_that_is_no_policy_is_named() -> None:
    verdicts = run_checks(Subject(Faulty, Config(fault="explores-nothing"), describe("point-robot")))
    broken = [verdict.problem for verdict in verdicts if verdict.problem]
    problem = "faulty.explore gave NoneType, not a policy that can be called."
    assert broken == [problem, f"with the further setting {{'further': True}}: {problem}"]


def test_leaving_the_program_is_no_way_to_keep_a_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Faulty, "update", lambda self, data: raise_exit())
    verdicts = list(run_checks(Subject(Faulty, Config(), describe("point-robot"))))
    assert all("SystemExit" in str(verdict.problem) for verdict in verdicts[:3])


def raise_exit() -> None:
    raise SystemExit(0)


def test_data_for_the_checks_are_what_is_asked_for() -> None:
    family = describe("point-robot")
    inner, outer = transitions(family, 4, 8, 1), transitions(family, 4, 8, 2)
    for made in (RandomData(family, per_task=20), FixedData(family, inner, outer)):
        tasks = made.sample_tasks(3)
        for batch in (made.transitions(tasks, 30), made.contiguous(tasks, 30)):
            assert (batch.tasks, batch.size) == (3, 30)
            batch.observations.zero_()
        assert made.transitions(tasks, 5).observations.abs().min() > 0
