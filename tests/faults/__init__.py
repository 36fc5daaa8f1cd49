"""Faults made on purpose: scripts that anyone can run; docs/reliability.md has their figures."""
