"""Framed pictures of every kind that a program can draw, and pictures without a frame, with their truth.

Each kind is a function of a picture (or a shelf of them) and a random generator; the same seed gives the same image.
A new kind of frame is learned by adding a drawing here, not a threshold to a detector.
"""
