"""Marks and frames that repeat across a dataset: estimated from a sample of it, found in every image.

Importing this package costs nothing: the command line looks in here for the summary of a command.
"""
