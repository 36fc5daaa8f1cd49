"""Sweeps: from an experiment to its jobs, and from jobs to their records."""
