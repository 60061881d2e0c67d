"""Figures and the self-contained HTML page, from records and flat rows only."""
