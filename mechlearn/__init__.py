"""mechlearn: how much and where a brain tumour will grow, from a patient's few MRI visits."""

__version__ = "0.1.0"
