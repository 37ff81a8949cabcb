"""Finding an algorithm and building its configuration: what exists, and one clear error for what does not."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmark.algorithm import Algorithm, AlgorithmConfig
from benchmark.errors import AlgorithmError, BenchmarkError, ConfigError, UnknownNameError
from benchmark.registry import BUILT_IN, build_config, find_algorithm, parse_settings

METHOD = """
class Method:
    def __init__(self, config, family, device, random): ...
    def update(self, data): ...
    def adapt(self, context): ...
    def state(self): ...
    def load_state(self, state): ...
"""


def write(folder: Path, text: str) -> str:
    path = folder / "my_method.py"
    path.write_text(text)
    return f"{path}:Method"


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_algorithms_are_found_by_name_and_by_class(name: str) -> None:
    found = find_algorithm(name)
    assert issubclass(found, Algorithm)
    assert found.name == name
    assert find_algorithm(BUILT_IN[name]) is found


def test_a_class_in_a_file_needs_no_base_class(tmp_path: Path) -> None:
    found = find_algorithm(write(tmp_path, METHOD))
    assert (found.name, found.version) == ("method", 1)
    assert build_config(found, {"discount": 0.9}).discount == 0.9


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("macav", "unknown algorithm 'macav'. Did you mean 'macaw'"),
        ("no_such_module:Method", "no_such_module cannot be imported"),
        ("no/such/file.py:Method", "there is no file .*file.py"),
        ("json:Method", "json has no class 'Method'"),
    ],
)
def test_what_does_not_exist_is_named(specification: str, message: str) -> None:
    with pytest.raises((UnknownNameError, AlgorithmError), match=message):
        find_algorithm(specification)


@pytest.mark.parametrize("name", ["update", "adapt", "state", "load_state"])
def test_a_missing_method_is_named(tmp_path: Path, name: str) -> None:
    specification = write(tmp_path, METHOD.replace(f"def {name}(", "def other("))
    with pytest.raises(AlgorithmError, match=f"has no method {name}"):
        find_algorithm(specification)


def test_an_inherited_stub_counts_as_missing(tmp_path: Path) -> None:
    text = "from benchmark.algorithm import Algorithm\nclass Method(Algorithm):\n    def update(self, data): ...\n"
    with pytest.raises(AlgorithmError, match="has no method adapt, state, load_state"):
        find_algorithm(write(tmp_path, text))


def test_a_file_that_raises_says_so(tmp_path: Path) -> None:
    with pytest.raises(AlgorithmError, match="cannot be imported: ZeroDivisionError"):
        find_algorithm(write(tmp_path, "1 / 0"))


def test_settings_are_parsed_and_typed() -> None:
    settings = parse_settings(
        ["hidden_size=8", "policy_outer_lr=1", "advantage_head=false", "inner_data=late"]
    )
    config = build_config(find_algorithm("macaw"), settings)
    assert vars(config)["hidden_size"] == 8
    assert vars(config)["policy_outer_lr"] == 1.0
    assert vars(config)["advantage_head"] is False
    assert vars(config)["inner_data"] == "late"


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("hiden_size=8", "unknown configuration key of macaw 'hiden_size'. Did you mean 'hidden_size'"),
        ("hidden_size=eight", "hidden_size = 'eight' has the wrong type: it takes a int"),
        ("hidden_size=8.5", "hidden_size = 8.5 has the wrong type"),
        ("hidden_size=true", "hidden_size = True has the wrong type"),
        ("hidden_size=-1", "configuration of macaw: .*hidden_size.*-1"),
        ("discount=nan", "configuration of macaw: .*discount"),
        ("inner_data=good", "inner_data = 'good' is not one of 'all', 'early', 'middle', 'late'"),
        ("hidden_size", "--set takes key=value"),
    ],
)
def test_bad_settings_are_refused(pair: str, message: str) -> None:
    with pytest.raises((UnknownNameError, ConfigError), match=message):
        build_config(find_algorithm("macaw"), parse_settings([pair]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "@dataclass(frozen=True)\nclass C:\n    width: int = 3\n",
            "must be a frozen dataclass that inherits",
        ),
        ("@dataclass\nclass C:\n    discount: float = 0.9\n", "must be a frozen dataclass"),
        (
            "@dataclass(frozen=True)\nclass C(AlgorithmConfig):\n    place: Path = Path()\n",
            "Config.place has the type",
        ),
        (
            "@dataclass(frozen=True, kw_only=True)\nclass C(AlgorithmConfig):\n    width: int\n",
            "from its defaults",
        ),
    ],
)
def test_a_config_that_cannot_be_set_or_saved_is_refused(tmp_path: Path, text: str, message: str) -> None:
    head = "from dataclasses import dataclass\nfrom pathlib import Path\n"
    head += "from benchmark.algorithm import AlgorithmConfig\n"
    with pytest.raises(AlgorithmError, match=message):
        find_algorithm(write(tmp_path, head + text + METHOD + "    Config = C\n"))


def test_a_subclass_does_not_pass_for_the_built_in_method(tmp_path: Path) -> None:
    text = "from macaw.algorithm import Macaw\nclass Method(Macaw):\n    pass\n"
    assert find_algorithm(write(tmp_path, text)).name == "method"
    assert find_algorithm("macaw").name == "macaw"


@pytest.mark.parametrize("name", ["macaw", "../up", "", "a b"])
def test_names_that_are_taken_or_no_file_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AlgorithmError, match=f"has the name '{name}'; choose one"):
        find_algorithm(write(tmp_path, METHOD + f"    name = {name!r}\n"))


def test_discount_must_be_within_zero_and_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"discount = 1e\+30 is not within 0 and 1"):
        build_config(find_algorithm(write(tmp_path, METHOD)), {"discount": 1e30})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('name = "a b"', "choose one of letters"),
        ("name = None", "choose one of letters"),
        ('version = "1.0"', "must be a whole number"),
        ('further_tests = ({"widht": 1},)', "unknown configuration key"),
        ('online_settings = {"discount": "x"}', "wrong type"),
    ],
)
def test_what_a_class_says_of_itself_is_checked_before_it_runs(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(BenchmarkError, match=message):
        find_algorithm(write(tmp_path, f"{METHOD}    {line}\n"))


@pytest.mark.parametrize("line", ["import sys; sys.exit(0)", "raise ValueError('no')"])
def test_a_file_that_ends_the_program_is_an_error_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(AlgorithmError, match=r"cannot be imported: \w+ at my_method.py, line 1"):
        find_algorithm(write(tmp_path, line + METHOD))


def test_a_file_may_import_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "the_neighbour_of_my_method.py").write_text("VERSION = 7\n")
    text = METHOD.replace("class", "from the_neighbour_of_my_method import VERSION\n\nclass")
    assert find_algorithm(write(tmp_path, f"{text}    version = VERSION\n")).version == 7


@dataclass(frozen=True)
class Tuples(AlgorithmConfig):
    """Settings of several values."""

    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[int, float] = (1, 2.5)

    def __post_init__(self) -> None:
        assert sum(self.sizes) < 100


class WithTuples(Algorithm):
    """Takes settings of several values."""

    name, Config = "with-tuples", Tuples


def test_settings_of_several_values_are_checked_one_by_one() -> None:
    found = build_config(WithTuples, {"sizes": [3], "pair": [2, 3]})
    assert isinstance(found, Tuples)
    assert (found.sizes, found.pair) == ((3,), (2, 3.0))
    for wrong in ({"sizes": 5}, {"sizes": [1.5]}, {"pair": [1]}, {"pair": [1.5, 1]}, {"sizes": [100]}):
        with pytest.raises(ConfigError):
            build_config(WithTuples, wrong)


def test_neighbours_of_own_files_in_two_folders_may_have_the_same_name(tmp_path: Path) -> None:
    text = "from dataclasses import dataclass\nfrom benchmark.algorithm import AlgorithmConfig\n"
    text += "from neighbour import WIDTH\nfrom package.inside import DEPTH\n"
    text += (
        "@dataclass(frozen=True)\nclass C(AlgorithmConfig):\n    width: int = WIDTH\n    depth: int = DEPTH\n"
    )
    for number, folder in enumerate((tmp_path / "one", tmp_path / "other"), 1):
        (folder / "package").mkdir(parents=True)
        (folder / "neighbour.py").write_text(f"WIDTH = {number}\n")
        (folder / "package" / "__init__.py").write_text("")
        (folder / "package" / "inside.py").write_text(f"DEPTH = {number}\n")
    specifications = [write(tmp_path / name, text + METHOD + "    Config = C\n") for name in ("one", "other")]
    kinds = [find_algorithm(one) for one in (*specifications, *specifications)]
    assert [vars(build_config(kind, {})) for kind in kinds] == [
        {"discount": 0.99, "width": number, "depth": number} for number in (1, 2, 1, 2)
    ]
