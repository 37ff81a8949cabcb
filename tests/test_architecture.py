"""Who may import whom: families <- data <- protocol <- training <- command line; methods know the contract alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
LEVELS = [
    {"errors", "files", "randomness", "algorithm", "interruption", "console", "locks", "memory"},
    {"families"},
    {"workers"},
    {"rollouts"},
    {"data"},
    {"protocol"},
    {"calls"},
    {"evaluation", "run_config", "registry", "checkpoint", "results"},
    {"contract"},
    {"tested", "recorded_steps"},
    {"scoring", "nearest_expert", "online_finetuning", "run_folder"},
    {"final_test"},
    {"training"},
    {"submissions", "sweep"},
    {"commands", "commands_data", "commands_results", "commands_submissions", "commands_sweep"},
    {"cli"},
    {"__main__"},
]


def imported_modules(path: Path) -> set[str]:
    """Full names of all modules that the file imports, also within functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def level(module: str) -> int:
    part = module.split(".")[1]
    return next(index for index, names in enumerate(LEVELS) if part in names)


@pytest.mark.parametrize("path", sorted((PROJECT / "benchmark").rglob("*.py")), ids=str)
def test_the_suite_imports_downwards_only(path: Path) -> None:
    relative = path.relative_to(PROJECT).with_suffix("").parts
    if relative == ("benchmark", "__init__"):
        assert not imported_modules(path)
        return
    own = level(".".join(relative))
    for module in imported_modules(path):
        assert not module.startswith(("macaw", "baselines")), f"{path} imports the method {module}"
        parts = module.split(".")
        if parts[0] == "benchmark" and len(parts) > 1 and any(parts[1] in names for names in LEVELS):
            assert level(module) <= own, f"{path} imports {module} from above"


@pytest.mark.parametrize("folder", ["macaw", "baselines"])
def test_methods_import_the_contract_only(folder: str) -> None:
    for path in (PROJECT / folder).rglob("*.py"):
        for module in imported_modules(path):
            if module.split(".")[0] == "benchmark":
                assert module.startswith("benchmark.algorithm"), f"{path} imports {module}"


def modules_after(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    return set(done.stdout.split())


def test_help_imports_nothing_heavy() -> None:
    loaded = modules_after("from benchmark.cli import _parser; _parser()")
    assert not loaded & {"torch", "pandas", "mujoco", "matplotlib", "gymnasium", "numpy"}


def test_metaworld_is_imported_only_when_it_is_simulated_and_torch_where_something_is_trained() -> None:
    loaded = modules_after(
        "import benchmark.commands, benchmark.families, benchmark.data.shipped, benchmark.data.record\n"
        "benchmark.families.family('ml45').splits"
    )
    assert not loaded & {"metaworld", "torch"}
    importing = [path.name for path in (PROJECT / "benchmark").rglob("*.py") if "metaworld" in {
        module.split(".")[0] for module in imported_modules(path)
    }]  # fmt: skip
    assert importing == ["metaworld_arena.py"]


def test_results_import_no_torch() -> None:
    assert "torch" not in modules_after(
        "import benchmark.results.leaderboard, benchmark.results.comparison_text, benchmark.results.page.write\n"
        "import benchmark.results.figures.regenerate, benchmark.results.figures.drawing"
    )


def test_no_python_package_is_called_datasets_or_leaderboard() -> None:
    """They would overwrite well-known packages of those names in a shared environment."""
    for name in ("datasets", "leaderboard"):
        assert not list((PROJECT / name).rglob("*.py"))


def test_global_random_generators_are_used_nowhere() -> None:
    banned = ("np.random.seed", "np.random.rand", "torch.manual_seed", "import random\n", "random.seed(")
    for folder in ("benchmark", "macaw", "baselines"):
        for path in (PROJECT / folder).rglob("*.py"):
            if path.name in ("comparing.py", "randomness.py"):
                continue  # find out whether a method uses them, and give each process its own
            for text in banned:
                assert text not in path.read_text().replace("generator.manual_seed", ""), f"{path}: {text}"
