"""Experiment files: what they cross, where runs lie, and what is refused before anything starts."""

from pathlib import Path

import pytest

from benchmark.errors import ConfigError
from benchmark.protocol import ContextChoice
from benchmark.sweep.plan import PlannedRun, read_experiment, tiers

PROJECT = Path(__file__).parents[2]
ONE = '[[runs]]\nalgorithm = "macaw"\nfamily = "cheetah-vel"\nseeds = [0]\n'


def planned(tmp_path: Path, text: str) -> list[PlannedRun]:
    path = tmp_path / "experiment.toml"
    path.write_text(text)
    return read_experiment(path, tmp_path / "out")


def test_lists_are_crossed_and_a_run_lies_where_it_can_be_read_from(tmp_path: Path) -> None:
    runs = planned(
        tmp_path,
        """
        [[runs]]
        algorithm = ["macaw", "multitask-awr"]
        family = "cheetah-vel"
        split = ["standard", "half"]
        seeds = [0, 1]
        steps = 7
        contexts = ["mixed", "late:64"]
        set = { discount = 0.9 }
        """,
    )
    assert [run.name for run in runs[:6]] == [
        "discount=0.9/cheetah-vel/macaw/seed-0", "discount=0.9/cheetah-vel/macaw/seed-1",
        "split=half,discount=0.9/cheetah-vel/macaw/seed-0", "split=half,discount=0.9/cheetah-vel/macaw/seed-1",
        "discount=0.9/cheetah-vel/multitask-awr/seed-0", "discount=0.9/cheetah-vel/multitask-awr/seed-1",
    ]  # fmt: skip
    assert len(runs) == 8
    last = runs[-1]
    assert last.folder == tmp_path / "out" / last.name
    assert (last.config.split, last.config.seed, last.config.steps, last.config.threads) == ("half", 1, 7, 1)
    assert last.config.contexts == (ContextChoice("mixed"), ContextChoice("late", 64))
    assert last.settings.discount == 0.9


def test_with_one_out_the_projects_experiments_train_nothing_twice() -> None:
    """README says so: one folder is one run of one length, and one run has one folder."""
    of_folder: dict[str, str] = {}
    of_run: dict[str, str] = {}
    for path in sorted((PROJECT / "experiments").glob("*.toml")):
        for run in read_experiment(path, Path("out")):
            same = str({**run.config.full_identity(run.kind, run.settings), "steps": run.config.steps})
            assert of_folder.setdefault(run.name, same) == same, f"{path.name}: {run.name}"
            assert of_run.setdefault(same, run.name) == run.name, f"{path.name}: {run.name}"


def test_methods_can_have_steps_of_their_own(tmp_path: Path) -> None:
    both = ONE.replace('"macaw"', '["macaw", "meta-bc"]')
    runs = planned(tmp_path, both + "steps = { macaw = 30, meta-bc = 70 }\n")
    assert [(run.kind.name, run.config.steps) for run in runs] == [("macaw", 30), ("meta-bc", 70)]
    with pytest.raises(ConfigError, match="steps has no number for meta-bc, only for macaw"):
        planned(tmp_path, both + "steps = { macaw = 30 }\n")
    with pytest.raises(ConfigError, match="algorithm with steps .*mecaw"):
        planned(tmp_path, ONE + "steps = { macaw = 30, mecaw = 40 }\n")
    with pytest.raises(ConfigError, match="steps of macaw takes a whole number, not 'many'"):
        planned(tmp_path, ONE + 'steps = { macaw = "many" }\n')


def test_runs_that_learn_online_have_that_protocols_settings_and_context(tmp_path: Path) -> None:
    run, named = planned(tmp_path, f'{ONE}protocol = "online-finetune"\n{ONE}protocol = "online-finetune"\n'
                                   'contexts = ["early:64"]\n')  # fmt: skip
    assert run.name == "inner_data=random,context=random-256/cheetah-vel/macaw/seed-0"
    assert run.config.contexts == (ContextChoice("random"),)
    assert run.settings.inner_data == "random"
    assert named.name == "inner_data=random,context=early-64/cheetah-vel/macaw/seed-0"
    assert tiers(run.config) == ["mixed", "random"]
    (other,) = planned(
        tmp_path, ONE.replace("macaw", "pearl") + 'protocol = "online-finetune"\ncontexts = ["mixed"]\n'
    )
    assert other.name == "cheetah-vel/pearl/seed-0", "the run that the standard protocol tests"
    with pytest.raises(ConfigError, match="meta-bc does not learn online"):
        planned(tmp_path, ONE.replace("macaw", "meta-bc") + 'protocol = "online-finetune"\n')


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("", "cheetah-vel/macaw/seed-0"),
        ("steps = 9", "cheetah-vel/macaw/seed-0"),
        ('tier = "expert"', "tier=expert/cheetah-vel/macaw/seed-0"),
        ('contexts = ["late"]', "context=late-256/cheetah-vel/macaw/seed-0"),
        ('name = "mine"\ntier = "expert"', "mine/cheetah-vel/macaw/seed-0"),
        ('name = "m"\nset = { advantage_head = [false, true] }', "m,advantage_head=false/cheetah-vel/macaw/seed-0"),
        ('name = "m"\nset = { advantage_head = [true, false] }', "m/cheetah-vel/macaw/seed-0"),
        ("set = { advantage_head = true }", "cheetah-vel/macaw/seed-0"),
        ('data = "imported/cheetah-vel/a-v0"', "data=imported-cheetah-vel-a-v0/cheetah-vel/macaw/seed-0"),
    ],
)  # fmt: skip
def test_the_folder_says_what_is_unusual(tmp_path: Path, lines: str, name: str) -> None:
    assert planned(tmp_path, ONE + lines)[0].name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[runs]", "experiment.toml cannot be read"),
        ("", r"must consist of \[\[runs\]\] tables"),
        (f"steps = 3\n{ONE}", r"must consist of \[\[runs\]\] tables, not steps"),
        (f"{ONE}step = 3", r"\[\[runs\]\] number 1: unknown key 'step'. Did you mean 'steps'"),
        (ONE.replace("macaw", "macaq"), "unknown algorithm 'macaq'. Did you mean 'macaw'"),
        (ONE.replace("cheetah-vel", "cheetah-val"), "unknown family 'cheetah-val'. Did you mean 'cheetah-vel'"),
        (f'{ONE}split = ["half", "quater"]', "unknown split of cheetah-vel 'quater'. Did you mean 'quarter'"),
        (f'{ONE}tier = "mixd"', "unknown tier 'mixd'. Did you mean 'mixed'"),
        (f'{ONE}contexts = ["expret"]', "unknown context source 'expret'. Did you mean 'expert'"),
        (f"{ONE}set = {{ advantage_haed = false }}", "Did you mean 'advantage_head'"),
        (f"{ONE}set = {{ advantage_head = 3 }}", "advantage_head = 3 has the wrong type"),
        (f"{ONE}set = 3", "set takes a table such as"),
        (f"{ONE}split = 3", "split takes text in quotation marks, or a list of texts, not 3"),
        (f"{ONE}protocol = 3", "protocol takes one text in quotation marks, not 3"),
        (f"{ONE}steps = true", "steps takes a whole number, not True"),
        (f"{ONE}steps = 0", "steps = 0 is too small"),
        (f"{ONE}threads = 2", "unknown key 'threads'"),
        (f'{ONE}name = "a/b"', "name = 'a/b': it takes letters"),
        (ONE.replace("[0]", "[]"), "seeds is an empty list"),
        (ONE.replace("[0]", "[0, 0]"), "seeds holds 0 twice"),
        (ONE.replace("[0]", '"0"'), "seeds takes a whole number, not '0'"),
        (ONE.replace("[0]", f"[0, {2**63}]"), f"number 1: seed = {2**63} is too large"),
        (ONE.replace("seeds = [0]", ""), "there is no seeds; say seeds ="),
        (ONE + ONE, "numbers 1 and 2 both ask for the run cheetah-vel/macaw/seed-0. Take it out of one"),
        (f"{ONE}{ONE}steps = 9", "numbers 1 and 2: different runs would share the folder .* another name"),
        (f'{ONE}{ONE}name = "again"', "numbers 1 and 2 ask for the same run twice, as cheetah-vel/.* and as again/"),
        (f'{ONE}device = ["cpu", "cudaa"]', "number 1: device 'cudaa' cannot be used here: Expected one of cpu, cuda"),
        (f'{ONE}device = "cuda:first"', "device 'cuda:first' cannot be used here"),
        (f'{ONE}data = "omrl/cheetah-vel/mixed-v1"', "data 'omrl/cheetah-vel/mixed-v1' is not imported data"),
        (f'{ONE}data = "imported/cheetah-dir/x-v0"', "x-v0 is data of cheetah-dir-v1, not of cheetah-vel-v1"),
        (f'{ONE}data = "imported/cheetah-vel/x-v0"\nsize = "full"', "x-v0 is of one size: leave size away"),
        (f'{ONE}data = "imported/cheetah-vel/x-v0"\ncontexts = ["expert"]', "x-v0 has no tier 'expert'"),
        (f'{ONE}data = "imported/cheetah-vel/{"x" * 150}-v0"', "too long. Give these runs a short name"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_file_and_table(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        planned(tmp_path, text)
    assert "experiment.toml" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_devices_and_data_need_not_be_here_when_runs_are_planned(tmp_path: Path) -> None:
    (run,) = planned(tmp_path, f'{ONE}device = "cuda:3"\ndata = "imported/cheetah-vel/x-v0"\n')
    assert (run.config.device, run.data) == ("cuda:3", "imported/cheetah-vel/x-v0")


@pytest.mark.parametrize("path", sorted((PROJECT / "experiments").glob("*.toml")), ids=lambda path: path.stem)
def test_the_projects_experiments_are_sound(path: Path) -> None:
    assert len(read_experiment(path, Path("out"))) >= 6


def test_figure_5_adapts_to_the_data_it_is_tested_with() -> None:
    runs = read_experiment(PROJECT / "experiments" / "figure-5-left.toml", Path("out"))
    assert {(run.config.contexts[0].source, run.config.settings["inner_data"]) for run in runs} == {
        (part, part) for part in ("late", "middle", "early")
    }
