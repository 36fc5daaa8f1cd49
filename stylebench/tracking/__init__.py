"""Jobs on a tracking server: a view of the results folder, which holds the truth."""
