"""Numbers that compare images, masks, probabilities and forecasts.

An undefined metric is None with a stated reason, never zero and never a silent NaN.
"""
