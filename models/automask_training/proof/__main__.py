"""What a model learns with and without the masks: `python -m automask_training.proof --out FOLDER --next`.

`--next` makes what is missing for the next training (first of all the base, which all arms go on from), trains and
measures it; repeat it until `--status` says that all is measured. Stopped by a signal it goes on there the next time.
`--page` puts figures and grids into docs/proof. `--smoke` does all of it in small, on pictures that are drawn.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

from automask_training.starting import start


def main(arguments: list[str] | None = None) -> int:
    """Run one command; exit code 0 when it ended as asked, 3 when it was stopped and can go on."""
    # Spinning threads starve the trainer itself when it shares a machine; read by OpenMP when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    parser = argparse.ArgumentParser(
        prog="automask_training.proof", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder of the proof; several gigabytes when all is done")
    parser.add_argument("--materials", type=Path, action="append", help="folder made by synth.materials; repeatable")
    parser.add_argument("--fonts", type=Path, help="such a folder, made with --held-out: fonts of the marks")
    parser.add_argument("--threads", type=int, default=1)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--next", action="store_true", help="do the next run that is missing")
    what.add_argument("--run", metavar="NAME", help="do one run by name, such as watermark-truth-0")
    what.add_argument("--measure", metavar="NAME", help="measure a trained run again")
    what.add_argument("--masks", metavar="KIND", help="only make the masks of watermark, card or subtitles")
    what.add_argument("--status", action="store_true", help="list all runs")
    what.add_argument("--page", type=Path, metavar="DOCS", help="write figures and grids to a folder, docs/proof")
    what.add_argument("--smoke", action="store_true", help="all of it in small")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)

    from automask_training.proof import page, smoke
    from automask_training.proof.arms import Arm, all_runs, run_named
    from automask_training.proof.marks import KINDS, MarkLayer
    from automask_training.proof.measure import FIGURES_FILE
    from automask_training.proof.runs import Proof

    if given.smoke:
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(smoke.run(Path(folder)) + "\n")
        return 0
    if given.out is None:
        parser.error("--out is needed")
    needs_pictures = given.next or given.run or given.measure or given.masks
    if needs_pictures and (not given.materials or given.fonts is None):
        parser.error("--materials and --fonts are needed")
    proof = Proof(given.out, tuple(given.materials or ()), lambda: MarkLayer(given.fonts))
    if given.status:
        sys.stdout.write(f"{'base':24} {proof.base_told()}\n")
        for arm, seed in all_runs():
            sys.stdout.write(f"{arm.run_name(seed):24} {proof.state_of(arm, seed):9} {arm.about}\n")
        return 0
    if given.page is not None:
        page.write(proof, given.page)
        return 0
    if given.masks:
        kind = next((each for each in KINDS if each == given.masks), None)
        if kind is None:
            parser.error(f"kinds are {', '.join(KINDS)}")
        proof.prepare(Arm(name="automask", about="", kind=kind, masks="automask"))
        return 0
    if given.next:
        following = next(proof.missing(), None)
        if following is None:
            sys.stdout.write("all runs are measured\n")
            return 0
        arm, seed = following
    else:
        try:
            arm, seed = run_named(given.run or given.measure)
        except KeyError:
            parser.error(f"there is no run {given.run or given.measure}; --status lists them")
        if given.measure:
            (proof.folder_of(arm, seed) / FIGURES_FILE).unlink(missing_ok=True)
    logging.getLogger("automask.training").info("%s: %s", arm.run_name(seed), arm.about)
    return 0 if proof.do(arm, seed, threads=given.threads) else 3


if __name__ == "__main__":
    start(main)
