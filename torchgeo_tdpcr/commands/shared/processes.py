# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which of several processes this is, before PyTorch is imported."""

import os


def is_first_process() -> bool:
    """Whether this is the first of several processes, or the only one."""
    ranks = ('LOCAL_RANK', 'RANK', 'SLURM_PROCID')
    return all(os.environ.get(name, '0') == '0' for name in ranks)
