"""Evaluations: functions that score forecasts and generations and return one flat row a job."""
