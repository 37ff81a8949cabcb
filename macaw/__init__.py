"""MACAW: offline meta-reinforcement learning with advantage weighting (Mitchell et al., ICML 2021).

Read in this order: `networks` (what adapts), `losses` (what it adapts to), `adaptation` (the inner step and
its exact meta-gradient), `algorithm` (the meta-step, and the adaptation to a test task).
"""
