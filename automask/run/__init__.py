"""A run over a dataset, from decoded images to masks in a store."""
