"""The doctor: every visit of a cohort examined before anything is prepared or trained."""
