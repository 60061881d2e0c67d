"""Spatial methods: intensities, regions, arrival and growth maps, baselines, measured sizes."""
