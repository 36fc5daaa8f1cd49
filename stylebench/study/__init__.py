"""A preference study: its design, the page that people answer, a server for it, what is read of it.

The way of the data:
1. `design` chooses of a results folder which two results meet, on which side, and keeps it with
   the metrics of these jobs: design.json, which the page does not load;
2. `page` makes one HTML file of it, in which results have numbers and no names;
3. a participant's answers are a JSON file (`answers`), which people send or `serve` takes;
4. `read` joins answers and design, and `scores` makes numbers of them.
"""
