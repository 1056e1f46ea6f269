"""Pictures of two sites, each with a mark of its own, and of others without."""

import io

from overlay_cases import lettering, marked, picture
from PIL import Image

COUNT = 9
INKS = {"a": lettering("SAMPLE"), "b": lettering("OTHER", at=(20, 40))}
MARKS = {"a": (170, 190, 310, 225), "b": (15, 10, 140, 50)}


def png(site, seed):
    """A picture of a site, with its mark; one without for no site."""
    pixels = marked(seed, INKS[site], opacity=0.8).pixels if site in INKS else picture(seed)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def images():
    """Site, number and bytes: two sites and two pictures of other ones, mixed."""
    for seed in range(COUNT):
        for site in INKS:
            yield site, seed, png(site, seed + 100 * (site == "b"))
    yield "c", 0, png("c", 900)
    yield "d", 0, png("d", 901)


def site_folder(folder):
    """The images in a folder for each site."""
    for site, seed, data in images():
        (folder / site).mkdir(parents=True, exist_ok=True)
        (folder / site / f"{seed}.png").write_bytes(data)
    return folder
