"""Sweeps: the runs of an experiment file, those that are not finished, in worker processes.

experiment.toml --plan.py--> runs, each in its folder --standing.py--> what is missing --work.py--> result.csv
"""
