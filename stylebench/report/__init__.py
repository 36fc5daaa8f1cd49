"""A results folder as one self-contained HTML page; template, style and script in templates/."""
