"""The fewest floating-point operations that a step of each method needs, counted in closed form at published sizes.

Only matrix products count, two operations per multiply-add. A perceptron that learns needs three products of its size
(forward, gradient of inputs, gradient of weights), but for the first layer's gradient of inputs.
"""

from collections.abc import Sequence

OBSERVATION, ACTION, TRAIN_TASKS = 20, 6, 35
"""Sizes of cheetah-vel."""
TASKS, BATCH, HIDDEN, LATENT, HEAD = 5, 256, 100, 100, 32
PEARL_TASKS, PEARL_CONTEXT, PEARL_HIDDEN, ENCODER_HIDDEN, Z = 16, 100, 300, 200, 5

Sizes = Sequence[tuple[int, int]]


def network(inputs: int, hidden: int, outputs: int) -> Sizes:
    """Three hidden layers."""
    return [(inputs, hidden), (hidden, hidden), (hidden, hidden), (hidden, outputs)]


def forward(sizes: Sizes, rows: int) -> int:
    """Outputs of so many rows."""
    return 2 * rows * sum(inputs * outputs for inputs, outputs in sizes)


def training(sizes: Sizes, rows: int) -> int:
    """Outputs and gradients of the weights."""
    return 3 * forward(sizes, rows) - forward(sizes[:1], rows)


def theta_rows(sizes: Sizes) -> int:
    """Numbers that enter a network of weight-transform layers."""
    return sum(inputs * outputs + outputs for inputs, outputs in sizes)


def rank_one_adaptation(sizes: Sizes) -> int:
    """All products with W in a meta-step: theta, W^T g, theta', and the way back with its 2 T + 1 outer products."""
    products = 1 + 3 * TASKS + TASKS + 1 + (2 * TASKS + 1)
    return 2 * theta_rows(sizes) * LATENT * products


def bi_level(sizes: Sizes) -> int:
    """Inner gradient, outer gradient, and the Hessian's product with a vector.

    That has two products for each of the inner gradient's, but for the first layer, whose input is fixed: one each.
    """
    rows = TASKS * BATCH
    return 4 * training(sizes, rows) - 2 * forward(sizes[:1], rows) + rank_one_adaptation(sizes)


VALUE = network(OBSERVATION, HIDDEN, 1)
POLICY = network(OBSERVATION, HIDDEN, ACTION)


def meta_bc() -> int:
    """The policy alone."""
    return bi_level(POLICY)


def macaw() -> int:
    """Value network, policy with its advantage head, and the values that advantages and targets are made of."""
    head = [(HIDDEN + ACTION, HEAD), (HEAD, 1)]
    rows = TASKS * BATCH
    advantages = 4 * forward(
        VALUE, rows
    )  # adapted V of inner (s, s_end) and outer s_end; V_target of outer s_end
    # the head is differentiated twice, and its own W has one outer product per step
    heads = 3 * training(head, rows) + 2 * theta_rows(head) * LATENT * 3
    return bi_level(VALUE) + bi_level(POLICY) + heads + advantages


def multitask_awr() -> int:
    """Both networks on observation and identity, and the values of s_end."""
    rows, inputs = TASKS * BATCH, OBSERVATION + TRAIN_TASKS
    value, policy = network(inputs, HIDDEN, 1), network(inputs, HIDDEN, ACTION)
    return training(value, rows) + training(policy, rows) + forward(value, rows)


def pearl() -> int:
    """Encoder, two critics (their inputs' gradients too, for z and for the actor), V and its target, policy."""
    rows = PEARL_TASKS * BATCH
    encoder = network(OBSERVATION + ACTION + 1, ENCODER_HIDDEN, 2 * Z)
    critic = network(OBSERVATION + ACTION + Z, PEARL_HIDDEN, 1)
    value = network(OBSERVATION + Z, PEARL_HIDDEN, 1)
    policy = network(OBSERVATION + Z, PEARL_HIDDEN, 2 * ACTION)
    critics = 2 * (3 * forward(critic, rows) + 2 * forward(critic, rows))
    values = training(value, rows) + forward(value, rows)
    return training(encoder, PEARL_TASKS * PEARL_CONTEXT) + critics + values + training(policy, rows)


def behaviour_cloning() -> int:
    """One policy on observations."""
    return training(POLICY, TASKS * BATCH)


FEWEST = {
    "macaw": macaw,
    "meta-bc": meta_bc,
    "multitask-awr": multitask_awr,
    "pearl": pearl,
    "behaviour-cloning": behaviour_cloning,
}
"""By method."""
