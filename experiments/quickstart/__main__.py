# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The main job on synthetic data: make the set, train both phases, test, map a scene.

    python -m experiments.quickstart

It is the `torchgeo` command with `tdpcr.yaml` beside this file, three times: `fit`, and
`test` with the checkpoint of each phase; then a table and a contact sheet; then
`torchgeo-tdpcr map` on a synthetic scene. Written are `runs/quickstart/table.md`,
`runs/quickstart/contact_sheet.png`, and in `runs/quickstart/maps/scene_s2` the cloud-free
image and the land cover of the scene as GeoTIFFs, with a report.
"""

import argparse
import sys

from torchgeo_tdpcr.signals import ending_on_sigterm


def main(argv: list[str] | None = None) -> None:
    """Run the main job in the current folder."""
    argparse.ArgumentParser(
        prog='python -m experiments.quickstart',
        description=(__doc__ or '').splitlines()[0],
    ).parse_args(argv)
    about = 'Synthetic data, training, tests, a map: some minutes on a CPU …'
    print(about, file=sys.stderr, flush=True)
    # It imports PyTorch and TorchGeo, which is silent for long
    from .job import run

    run()


if __name__ == '__main__':
    with ending_on_sigterm():
        main()
