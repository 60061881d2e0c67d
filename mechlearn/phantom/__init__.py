"""Phantom cohort: simulated tumours on MNI152 anatomy, in BraTS layout."""
