"""Figures and one self-contained page, drawn from records and flat rows alone."""
