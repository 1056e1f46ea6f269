"""Frames, borders, bars and mats: found from straight edges and flat bands, without weights."""
