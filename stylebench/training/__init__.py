"""What trainings of any network share: checkpoints, and the table of what was told on the way."""
