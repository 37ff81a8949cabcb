"""The benchmark of offline meta-reinforcement learning: task families, data, protocol, runs, results."""

__version__ = "0.1.0"
