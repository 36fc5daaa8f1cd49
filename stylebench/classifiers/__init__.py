"""Classifiers whose blocks are the bench's own, and what their shortcuts cost in accuracy."""
