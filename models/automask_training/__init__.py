"""Training of the weights that automask ships: a small SAM and a watermark detector.

Nothing here runs when masks are made. The modules import torch, transformers and ultralytics inside functions or behind
`from __future__` annotations, so that importing the package stays cheap.
"""
