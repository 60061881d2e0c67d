"""From NIfTI and dates to slices: manifest, adapters, prepare, slice store, loaders, write-back."""
