"""Plain functions that do one whole piece of work each and give back one flat row."""
