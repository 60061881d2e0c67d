"""Configuration: schemas, checks, and construction of the library's objects from a config."""
