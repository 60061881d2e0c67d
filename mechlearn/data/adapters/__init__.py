"""Public cohorts -> the canonical manifest."""
