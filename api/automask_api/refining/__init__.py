"""Corrections by hand over HTTP: what a click, a box or a drawing means."""
