"""Metrics of images, masks, probabilities and forecasts.

An undefined metric is None, never zero or NaN; the docstring gives the reason.
"""
