"""Phantom cohort: tumours grown in silico on real (MNI152) anatomy, in BraTS layout."""
