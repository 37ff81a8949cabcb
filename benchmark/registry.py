"""From a name to a method: built-in names, `module:Class`, or `path/to/file.py:Class`; imported when asked for."""

import hashlib
import importlib
import importlib.util
import re
import sys
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from benchmark import calls
from benchmark.algorithm import Algorithm, AlgorithmConfig
from benchmark.calls import FOREIGN_ERRORS, where
from benchmark.errors import AlgorithmError, ConfigError, UnknownNameError
from benchmark.files import PROJECT

METHODS = {
    "macaw": "macaw.algorithm:Macaw",
    "meta-bc": "baselines.meta_bc:MetaBC",
    "multitask-awr": "baselines.multitask_awr:MultitaskAWR",
    "pearl": "baselines.pearl:Pearl",
}
REFERENCES = {
    "behaviour-cloning": "baselines.behaviour_cloning:BehaviourCloning",
    "nearest-expert": "benchmark.nearest_expert:NearestExpert",
}
"""What methods are compared with, and no meta-learner."""
BUILT_IN = METHODS | REFERENCES
"""Name to `module:Class`. Strings, because the suite imports no method before a run asks for it."""

OWN_FILE = "benchmark_user_"
"""What the names of modules begin with that are someone's own file."""

REQUIRED = ("update", "adapt", "state", "load_state")
OPTIONAL = ("version", "Config", "explore", "further_tests", "online_settings", "informed", "fine_tuner")


def find_algorithm(specification: str) -> type[Algorithm]:
    """The class that a name, `module:Class` or `path.py:Class` stands for.

    Raises UnknownNameError for an unknown name, AlgorithmError for one that cannot be imported or lacks a method.
    """
    target = BUILT_IN.get(specification, specification)
    if target.endswith(".py"):
        raise AlgorithmError(f"which class of {target}? Write --algo {target}:TheClassInIt.")
    if ":" not in target:
        raise UnknownNameError(
            "algorithm", specification, [*BUILT_IN, "module:Class", "path/to/file.py:Class"]
        )
    source, _, class_name = target.rpartition(":")
    try:
        module = _load_file(Path(source)) if source.endswith(".py") else importlib.import_module(source)
    except AlgorithmError:
        raise
    except FOREIGN_ERRORS as error:  # importing someone's file runs someone's code
        raise AlgorithmError(
            f"{source} cannot be imported: {type(error).__name__}{where(error)}: {error}. "
            "Give a built-in name, an importable module:Class, or path/to/file.py:Class."
        ) from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        raise AlgorithmError(f"{source} has no class '{class_name}'; write --algo {source}:TheClassInIt.")
    return _checked(found, specification)


def _load_file(path: Path) -> types.ModuleType:
    if not path.is_file():
        raise AlgorithmError(f"there is no file {path.resolve()}; give --algo path/to/file.py:Class.")
    folder = path.resolve().parent
    name = f"{OWN_FILE}{path.stem}_{hashlib.sha256(bytes(folder)).hexdigest()[:8]}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise AlgorithmError(f"{path.resolve()} is not a Python file.")
    module = importlib.util.module_from_spec(specification)
    # dataclasses and typing look a class's module up by its name, and the file may import its neighbours
    sys.modules[name] = module
    _let_imports_find(folder)
    specification.loader.exec_module(module)
    return module


_added: list[Path] = []
"""The folder of the own file that was loaded last, unless imports look there anyway."""


def _let_imports_find(folder: Path) -> None:
    """What lies beside an own file, after all else; and no more what lies beside one of another folder.

    Neighbours of two files may have the same name: what was imported from the other folder is forgotten.
    """
    if folder not in _added:
        for other in _added:
            with suppress(ValueError):
                sys.path.remove(str(other))
            for name in [name for name, module in sys.modules.items() if _lies_in(other, name, module)]:
                del sys.modules[name]
        _added.clear()
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        if folder != PROJECT:  # whose packages are the suite's own
            _added.append(folder)


def _lies_in(folder: Path, name: str, module: object) -> bool:
    """Whether a module, or the package that it is of, is a neighbour of the own files in the folder."""
    if name.startswith(OWN_FILE):
        return False
    top = getattr(sys.modules.get(name.partition(".")[0], module), "__dict__", {})
    places = [*(top.get("__path__") or ()), top.get("__file__") or ""]
    return any(place and Path(place).parent == folder for place in places)


def _checked(found: type, specification: str) -> type[Algorithm]:
    """Complete a class that does not inherit from `Algorithm`; refuse one that misses a required method."""
    missing = [name for name in REQUIRED if getattr(found, name, None) in (None, getattr(Algorithm, name))]
    if missing:
        raise AlgorithmError(
            f"{specification} has no method {', '.join(missing)}; "
            f"an algorithm needs {', '.join(REQUIRED)} (see benchmark/algorithm.py)."
        )
    for name in OPTIONAL:
        if not hasattr(found, name):
            setattr(found, name, getattr(Algorithm, name))
    complete = typing.cast(type[Algorithm], found)
    _check_name(complete, specification)
    _check_config_class(complete, specification)
    return complete


def _check_name(found: type[Algorithm], specification: str) -> None:
    """Give a class without a name of its own its class name; refuse one that cannot be a name in result files."""
    built_in = f"{found.__module__}:{found.__name__}" in BUILT_IN.values()
    if "name" not in vars(found):
        found.name = found.__name__.lower()
    fits = isinstance(found.name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", found.name)
    if not fits or (found.name in BUILT_IN and not built_in):
        raise AlgorithmError(
            f"{specification} has the name '{found.name}'; choose one of letters, digits, - and _ that no built-in "
            f"algorithm has ({', '.join(BUILT_IN)})."
        )
    if type(found.version) is not int:
        raise AlgorithmError(f"{specification} has the version {found.version!r}; it must be a whole number.")


def _check_config_class(found: type[Algorithm], specification: str) -> None:
    """Refuse a Config that cannot be set from the command line, saved, and built from its defaults."""
    config = found.Config
    parameters = getattr(config, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen or not hasattr(config, "discount"):
        raise AlgorithmError(
            f"{specification}.Config must be a frozen dataclass that inherits from benchmark.algorithm.AlgorithmConfig."
        )
    hints = calls.call(f"{specification}.Config", lambda: typing.get_type_hints(config))
    for name, hint in hints.items():
        if hint not in (bool, int, float, str) and typing.get_origin(hint) not in (Literal, tuple):
            raise AlgorithmError(
                f"{specification}.Config.{name} has the type {hint}; it takes bool, int, float, str, Literal, or tuple "
                "with the types in it, as tuple[int, ...]."
            )
    calls.call(f"building {specification}.Config from its defaults", config)
    for changes in (*found.further_tests, found.online_settings):
        build_config(found, changes)


def build_config(algorithm: type[Algorithm], settings: Mapping[str, Any]) -> AlgorithmConfig:
    """The method's configuration with these settings, each checked against its field's type.

    Raises UnknownNameError for an unknown key and ConfigError for a value of the wrong type or range.
    """
    hints = typing.get_type_hints(algorithm.Config)
    for key in settings:
        if key not in hints:
            raise UnknownNameError(f"configuration key of {algorithm.name}", key, hints)
    typed = {key: _typed(key, value, hints[key]) for key, value in settings.items()}
    try:
        config = algorithm.Config(**typed)
    except FOREIGN_ERRORS as error:  # someone's own checks may raise anything
        raise ConfigError(
            f"configuration of {algorithm.name}: {str(error) or type(error).__name__}"
        ) from error
    if not 0.0 <= config.discount <= 1.0:
        raise ConfigError(
            f"configuration of {algorithm.name}: discount = {config.discount} is not within 0 and 1."
        )
    return config


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """`["steps=3", "name=x"]` as {"steps": 3, "name": "x"}; values are TOML, bare words are strings."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set takes key=value, not '{pair}'.")
        try:
            settings[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except ValueError:  # no TOML, or a number of thousands of digits
            settings[key.strip()] = {"True": True, "False": False}.get(text, text)
    return settings


def _typed(key: str, value: Any, hint: Any) -> Any:
    """The value as the field's type; raises ConfigError if it is of another."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in choices:
            raise ConfigError(f"{key} = {value!r} is not one of {', '.join(map(repr, choices))}.")
        return value
    if origin is tuple:
        return _typed_tuple(key, value, choices)
    if hint is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise ConfigError(f"{key} = {str(value)[:20]}... is too large.") from None
    if isinstance(hint, type) and type(value) is not hint:
        raise ConfigError(f"{key} = {value!r} has the wrong type: it takes a {hint.__name__}.")
    return value


def _typed_tuple(key: str, value: Any, types_in_it: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list or tuple as a tuple with values of these types, the last of which may be `...`, for any number."""
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{key} = {value!r} has the wrong type: it takes a list, such as [{value!r}].")
    any_number = types_in_it[-1:] == (...,)
    hints = types_in_it[:1] * len(value) if any_number else types_in_it
    if len(hints) != len(value):
        raise ConfigError(f"{key} = {value!r} has {len(value)} values; it takes {len(hints)}.")
    return tuple(_typed(key, item, hint) for item, hint in zip(value, hints, strict=True))
