"""A policy's file as a function for rollouts, computed in double precision by ONNX Runtime.

Why in double precision: another processor sums a layer in another order, which moves an action of single precision in
its last digits, and the contacts of a body blow that up until the return is another one. Actions that are computed in
double precision and then rounded to single precision are the same everywhere, but for one that all but lies on the
border between two numbers; and so are the returns (a test permutes a network's hidden units).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import SubmissionError
from benchmark.families.family import Family
from benchmark.protocol import EPISODES
from benchmark.rollouts import Act
from benchmark.submissions.graph import INPUT, OUTPUT, check_shapes, parse

try:
    import onnxruntime
    from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
except ImportError as missing:
    raise SubmissionError(
        f"policies of submissions need more packages ({missing}): pip install -e '.[submissions]' -c constraints.txt"
    ) from missing

SINGLE_ONLY = {
    "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Selu", "Softplus", "Softsign",
}  # fmt: skip
"""Operators that ONNX Runtime has in single precision alone; what they take is rounded to that."""
ERRORS_ONLY = 4
"""Of the runtime's own messages, none but fatal ones are shown: ours say what is wrong."""


def load_policy(content: bytes, family: Family, tasks: int, where: Path) -> Act:
    """The policy in an ONNX file, for raw observations (task, EPISODES, observation) of so many tasks.

    It sees them scaled, and its answers are clipped to [-1, 1], as every method's. Raises SubmissionError where the
    file is no policy, and when it gives actions that are not finite.
    """
    model = parse(content, where)
    lead = (tasks, EPISODES)
    check_shapes(model, (*lead, family.observation_size), (*lead, family.action_size), where)
    session = _session(_in_double_precision(model), where)
    scale = family.observation_scale.astype(np.float32)

    def act(observations: NDArray[np.float32]) -> NDArray[np.floating]:
        seen = (observations * scale).astype(np.float64)
        (actions,) = _run(session, seen, where)
        if actions.shape != (*lead, family.action_size) or not np.isfinite(actions).all():
            raise SubmissionError(
                f"{where} gave actions that are not finite, or of another shape than it says."
            )
        return np.asarray(np.clip(actions, -1.0, 1.0), np.float32)

    return act


def _session(model: ModelProto, where: Path) -> "onnxruntime.InferenceSession":
    """Operators run one by one as they stand in the file, in one thread."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # noqa: BLE001 - the runtime's errors have no base of their own
        raise SubmissionError(f"{where} cannot be loaded: {_first_line(error)}") from error


def _run(
    session: "onnxruntime.InferenceSession", seen: NDArray[np.float64], where: Path
) -> list[NDArray[np.float64]]:
    try:
        return list(session.run([OUTPUT], {INPUT: seen}))
    except Exception as error:  # noqa: BLE001 - the runtime's errors have no base of their own
        raise SubmissionError(f"{where} cannot be run: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return ascii((str(error).splitlines() or [type(error).__name__])[0])[:200]


def _in_double_precision(model: ModelProto) -> ModelProto:
    """The same function where every number of single precision is one of double precision."""
    graph = model.graph
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    for tensor in graph.initializer:
        _widen(tensor)
    nodes = [new for node in graph.node for new in _double_node(node)]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        values = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _double_node(node: NodeProto) -> Iterable[NodeProto]:
    """The node with wide constants, between two casts where there is it in single precision alone."""
    for attribute in node.attribute:
        if attribute.HasField("t"):
            _widen(attribute.t)
        elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.DOUBLE
    if node.op_type == "Constant" and node.attribute[0].name in ("value_float", "value_floats"):
        value = helper.get_attribute_value(node.attribute[0])
        del node.attribute[:]
        wide = numpy_helper.from_array(np.asarray(value, np.float64))
        node.attribute.append(helper.make_attribute("value", wide))
    if node.op_type == "ConstantOfShape" and not node.attribute:
        wide = numpy_helper.from_array(np.zeros(1, np.float64))
        node.attribute.append(helper.make_attribute("value", wide))
    if node.op_type not in SINGLE_ONLY:
        yield node
        return
    result = node.output[0]
    for number, name in enumerate(node.input):
        node.input[number] = f"{result}/single/{number}"
        yield helper.make_node("Cast", [name], [node.input[number]], to=TensorProto.FLOAT)
    node.output[0] = f"{result}/single"
    yield node
    yield helper.make_node("Cast", [node.output[0]], [result], to=TensorProto.DOUBLE)
