"""Images of one axial slice: intensities, regions, growth maps, baselines, measured size."""
