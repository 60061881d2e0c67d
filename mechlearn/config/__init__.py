"""Configuration: schemas, checks, and the way from a composed config to the library's objects."""
