"""Files of policies: what an honest one does, and that none of the others ever runs."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from benchmark import families
from benchmark.errors import SubmissionError
from benchmark.protocol import EPISODES
from benchmark.rollouts import episode_outcomes
from benchmark.submissions import graph
from benchmark.submissions.export import NotExportable, held_against, to_onnx
from benchmark.submissions.policy import load_policy

POINT = families.family("point-robot")
SHAPE = (2, EPISODES, 4)
CPU = torch.device("cpu")
WHERE = Path("policy.onnx")


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def model(
    nodes: Sequence[onnx.NodeProto], constants: dict[str, np.ndarray] | None = None, shape: Sequence[object] = SHAPE,
    actions: Sequence[object] = (2, EPISODES, 2), **more: object,
) -> onnx.ModelProto:  # fmt: skip
    """A model from `observations` to `actions` of these operations."""
    made = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("observations", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, actions)],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", 20)]
    return helper.make_model(made, ir_version=10, **({"opset_imports": opsets} | more))


def node(kind: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def linear(**more: object) -> onnx.ModelProto:
    return model([node("MatMul", "observations w", "actions")], {"w": weights(4, 2)}, **more)


def load(content: onnx.ModelProto | bytes) -> object:
    return load_policy(
        content if isinstance(content, bytes) else content.SerializeToString(), POINT, 2, WHERE
    )


def test_a_policy_sees_scaled_observations_and_its_actions_are_clipped() -> None:
    cheetah = families.family("cheetah-dir")
    made = model(
        [node("MatMul", "observations w", "actions")],
        {"w": weights(20, 6)},
        (1, EPISODES, 20),
        (1, EPISODES, 6),
    )
    act = load_policy(made.SerializeToString(), cheetah, 1, WHERE)
    raw = weights(1, EPISODES, 20, seed=1)
    expected = (raw * cheetah.observation_scale) @ weights(20, 6)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(act(raw), np.clip(expected, -1, 1), atol=1e-6)


def value(name: str, kind: int, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [node("Identity", "going", "on"), node("Identity", "x", "y")],
        "body",
        [
            value("i", TensorProto.INT64),
            value("going", TensorProto.BOOL),
            value("x", TensorProto.FLOAT, *SHAPE),
        ],
        [value("on", TensorProto.BOOL), value("y", TensorProto.FLOAT, *SHAPE)],
    )
    constants = {"w": weights(4, 2), "n": np.array(2**62), "yes": np.array(True)}
    nodes = [node("Loop", "n yes observations", "x", body=body), node("MatMul", "x w", "actions")]
    return model(nodes, constants)


def elsewhere() -> onnx.ModelProto:
    made = linear()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")
    return made


def hidden_elsewhere() -> onnx.ModelProto:
    """The same in the attribute of a node."""
    tensor = elsewhere().graph.initializer[0]
    return model([node("Constant", "", "w", value=tensor), node("MatMul", "observations w", "actions")])


def claims_more_data() -> onnx.ModelProto:
    made = linear()
    made.graph.initializer[0].dims[0] = 2**20
    return made


def lies_about_sizes() -> onnx.ModelProto:
    """A note in the file says that a huge tensor is small."""
    made = model(
        [node("Expand", "observations size", "big"), node("ReduceMax", "big axes", "one", keepdims=0),
         node("MatMul", "one w", "actions")],
        {"size": np.array([2**30, 2, EPISODES, 4]), "axes": np.array([0]), "w": weights(4, 2)},
    )  # fmt: skip
    made.graph.value_info.append(helper.make_tensor_value_info("big", TensorProto.FLOAT, (1, 2, EPISODES, 4)))
    return made


def own_function() -> onnx.ModelProto:
    function = helper.make_function(
        "", "Relu", ["a"], ["b"], [node("Identity", "a", "b")], [helper.make_opsetid("", 20)]
    )
    return linear(functions=[function])


def products(count: int, size: int) -> onnx.ModelProto:
    """Many products of large matrices from a small file."""
    nodes = [node("Expand", "one size", "m0")]
    nodes += [node("MatMul", f"m{k} m{k}", f"m{k + 1}") for k in range(count)]
    nodes += [node("Slice", f"m{count} zero end", "w"), node("MatMul", "observations w", "actions")]
    constants = {
        "one": weights(1, 1),
        "size": np.array([size, size]),
        "zero": np.array([0, 0]),
        "end": np.array([4, 2]),
    }
    return model(nodes, constants)


HOSTILE = {
    "not protobuf": (b"\xff" * 50, "is no valid ONNX file"),
    "an operator of others": (
        model([helper.make_node("Gelu", ["observations"], ["actions"], domain="com.microsoft")],
              opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]),
        "operator sets ['com.microsoft', 20]"),
    "an operator of others in disguise": (
        model([helper.make_node("Evil", ["observations"], ["actions"], domain="x")]), "has the operator 'x:Evil'"),
    "a loop": (loop(), "has the operator 'Loop'"),
    "random actions": (model([node("RandomNormalLike", "observations", "actions")]), "operator 'RandomNormalLike'"),
    "a function": (own_function(), "it has functions"),
    "data in another file": (elsewhere(), "keeps tensors in another file"),
    "data in another file, in a node": (hidden_elsewhere(), "keeps tensors in another file"),
    "a tensor that is not as long as it says": (claims_more_data(), "not as long as its shape says"),
    "a tensor from nothing": (
        model([node("ConstantOfShape", "size", "big"), node("MatMul", "observations big", "actions")],
              {"size": np.array([4, 2**40])}, actions=(2, EPISODES, 2**40)), "is too large"),
    "a huge tensor that calls itself small": (lies_about_sizes(), "is too large"),
    "much to compute": (products(20, 2000), "is too large"),
    "a size that follows from data": (
        model([node("Cast", "observations", "size0", to=TensorProto.INT64), node("Reshape", "size0 flat", "size"),
               node("Expand", "one size", "big"), node("Reshape", "big shape", "actions")],
              {"flat": np.array([-1]), "one": weights(1), "shape": np.array([2, EPISODES, 2])}),
        "is not known before it runs"),
    "an open size": (linear(shape=("task", EPISODES, 4), actions=("task", EPISODES, 2)), "not known before it runs"),
    "other observations": (linear(shape=(2, 7, 4), actions=(2, 7, 2)), "the fixed shape (task, episode, observation)"),
    "other actions": (model([node("Identity", "observations", "actions")], actions=SHAPE), "action) = (2, 20, 2)"),
    "a weight that is not a number": (
        model([node("MatMul", "observations w", "actions")], {"w": np.full((4, 2), np.nan, np.float32)}),
        "a weight that is not finite"),
    "texts": (model([node("Identity", "observations", "actions")], {"t": np.array(["a"], object)}), "tensor of type 8"),
    "an unknown attribute": (model([node("MatMul", "observations w", "actions", f="x")], {"w": weights(4, 2)}),
                             "may not have the attribute 'f'"),
    "an output that is not there": (model([node("Identity", "observations", "a")]), "is no valid ONNX file"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_policy_is_refused_before_it_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content, message = HOSTILE[name]
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *arguments, **options: pytest.fail("it ran"))
    with pytest.raises(SubmissionError) as refused:
        load(content)
    assert message in str(refused.value)
    assert "policy.onnx" in str(refused.value)
    assert len(str(refused.value)) < 500


def test_too_many_operations_are_refused() -> None:
    chain = [node("Identity", "observations" if k == 0 else f"x{k}", f"x{k + 1}") for k in range(2001)]
    with pytest.raises(SubmissionError, match="has 2002 operations"):
        load(model([*chain, node("MatMul", "x2001 w", "actions")], {"w": weights(4, 2)}))


def test_actions_that_are_not_finite_are_refused() -> None:
    act = load(
        model([node("MatMul", "observations w", "x"), node("Log", "x", "actions")], {"w": weights(4, 2)})
    )
    assert callable(act)
    with pytest.raises(SubmissionError, match="actions that are not finite"):
        act(np.zeros(SHAPE, np.float32))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_are_a_policy_or_refused(changes: list[tuple[int, int]]) -> None:
    content = bytearray(honest())
    for place, value in changes:
        content[place % len(content)] = value
    try:
        act = load(bytes(content))
        assert callable(act)
        actions = act(np.ones(SHAPE, np.float32))
    except SubmissionError as error:
        assert 20 < len(str(error)) < 600
    else:
        assert actions.shape == (2, EPISODES, 2)
        assert np.isfinite(actions).all()


def policy(observations: torch.Tensor) -> torch.Tensor:
    """Every kind of layer that methods have: several tasks' weights, activations, normalisation, clipping."""
    first, last = torch.from_numpy(weights(2, 4, 8)), torch.from_numpy(weights(2, 8, 2, seed=1))
    hidden = torch.nn.functional.gelu(observations @ first)
    hidden = torch.nn.functional.layer_norm(torch.nn.functional.elu(hidden), (8,))
    hidden = torch.nn.functional.leaky_relu(hidden) + torch.nn.functional.softplus(hidden)
    return torch.tanh(hidden @ last).clamp(-0.9, 0.9)


@cache
def honest() -> bytes:
    return to_onnx(policy, SHAPE, CPU)


def test_an_export_does_what_the_policy_does() -> None:
    seen = weights(*SHAPE, seed=2)
    act = load(honest())
    assert callable(act)
    np.testing.assert_allclose(act(seen), policy(torch.from_numpy(seen)).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "unable",
    [
        lambda observations: (
            observations[..., :2] if float(observations.sum()) > 0 else -observations[..., :2]
        ),
        lambda observations: 1 / 0,
    ],
)
def test_what_cannot_be_traced_says_so(unable: object) -> None:
    with pytest.raises(NotExportable, match="the policy cannot be traced"):
        to_onnx(unable, SHAPE, CPU)  # type: ignore[arg-type]


def test_a_policy_that_answers_otherwise_later_is_found_out() -> None:
    answers = iter([0.5, 0.5, 0.6])
    act = held_against(lambda seen: np.full(2, next(answers)), lambda seen: np.full(2, 0.5))
    act(np.zeros(2, np.float32)), act(np.zeros(2, np.float32))
    with pytest.raises(NotExportable, match="by 0.1 at step 3"):
        act(np.zeros(2, np.float32))


def network(order: np.ndarray) -> bytes:
    """The same network for two tasks of the cheetah, its hidden units in this order: sums round otherwise."""
    first, last = weights(20, 256) * 2, weights(256, 6, seed=1)
    nodes = [
        node("MatMul", "observations a", "x"),
        node("Tanh", "x", "h"),
        node("MatMul", "h b", "y"),
        node("Tanh", "y", "actions"),
    ]
    constants = {"a": first[:, order], "b": last[order]}
    return model(nodes, constants, (2, EPISODES, 20), (2, EPISODES, 6)).SerializeToString()


def test_returns_do_not_depend_on_how_a_machine_rounds() -> None:
    """Another order of sums is what another processor does. In single precision the returns would be others."""
    cheetah = families.family("cheetah-dir")
    orders = [np.arange(256), np.random.default_rng(0).permutation(256)]
    found = [
        episode_outcomes(cheetah, [0, 1], load_policy(network(order), cheetah, 2, WHERE), EPISODES, 1).returns
        for order in orders
    ]
    np.testing.assert_array_equal(found[0], found[1])

    def single(order: np.ndarray) -> np.ndarray:
        first, last = (weights(20, 256) * 2)[:, order], weights(256, 6, seed=1)[order]
        scale = cheetah.observation_scale.astype(np.float32)
        act = lambda seen: np.tanh(np.tanh((seen * scale) @ first) @ last)  # noqa: E731
        return episode_outcomes(cheetah, [0, 1], act, EPISODES, 1).returns

    assert np.abs(single(orders[0]) - single(orders[1])).max() > 0.01


def test_every_operator_that_is_allowed_has_a_kernel_or_is_refused_at_once() -> None:
    """An allowed operator that the runtime cannot compute must end in a message too."""
    assert not graph.OPERATORS & {
        "Loop",
        "If",
        "Scan",
        "RandomNormal",
        "Bernoulli",
        "Einsum",
        "Dropout",
        "NonZero",
    }
    for kind in ("Sigmoid", "Relu", "Elu", "Softplus", "Erf", "Sin", "Exp", "Mish", "HardSwish"):
        act = load(
            model([node("MatMul", "observations w", "x"), node(kind, "x", "actions")], {"w": weights(4, 2)})
        )
        assert callable(act)
        assert act(np.zeros(SHAPE, np.float32)).shape == (2, EPISODES, 2)
