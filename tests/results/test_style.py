"""Colours and strokes: a method looks the same everywhere, and no two series of a picture look alike."""

from benchmark.registry import BUILT_IN
from benchmark.results.style import COLOURS, MARKERS, OTHER_MARKERS, looks, method_colours


def test_every_built_in_method_has_its_own_colour() -> None:
    assert set(COLOURS) == set(BUILT_IN)
    assert len(set(COLOURS.values())) == len(BUILT_IN)


def test_every_built_in_method_has_one_marker_in_every_picture() -> None:
    assert set(MARKERS) == set(BUILT_IN)
    assert len({*MARKERS.values(), *OTHER_MARKERS}) == len(MARKERS) + len(OTHER_MARKERS)
    one = looks({"pearl": "pearl"}, method_colours([]))
    several = looks({"mine": "mine", "macaw": "macaw", "pearl": "pearl"}, method_colours(["mine"]))
    assert one["pearl"] == several["pearl"]
    assert len({look.marker for look in several.values()}) == 3


def test_other_methods_do_not_change_the_colour_of_a_built_in_one() -> None:
    colours = method_colours(["zebra", "macaw", "aardvark"])
    assert colours["macaw"] == method_colours([])["macaw"]
    assert len({colours[name] for name in ("zebra", "aardvark", *BUILT_IN)}) == len(BUILT_IN) + 2


def test_two_lines_of_a_method_are_told_apart_without_colour() -> None:
    found = looks({"macaw": "macaw", "macaw, steps 10": "macaw", "pearl": "pearl"}, method_colours([]))
    assert found["macaw"].colour == COLOURS["macaw"]
    assert found["pearl"].colour == COLOURS["pearl"]
    assert len({(one.colour, one.dashes, one.marker) for one in found.values()}) == 3
    assert found["macaw"].dashes != found["macaw, steps 10"].dashes


def test_what_has_the_methods_name_alone_looks_the_same_wherever_it_stands() -> None:
    found = looks({"pearl, products=bfloat16": "pearl", "pearl": "pearl"}, method_colours([]))
    assert list(found) == ["pearl, products=bfloat16", "pearl"]
    assert found["pearl"] == looks({"pearl": "pearl"}, method_colours([]))["pearl"]
