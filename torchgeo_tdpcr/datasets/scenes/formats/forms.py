# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Every form of Sentinel-1, Sentinel-2 and cloud masks, as the tables of the documentation.

``python -m torchgeo_tdpcr.datasets.scenes.formats.forms`` prints them.
"""

from .form import table
from .masks.forms import mask_table
from .polarisations import RADAR_FORMS
from .products import OPTICAL_FORMS


def forms_page() -> str:
    """The tables that readers walk, in Markdown, each below a comment with its name."""
    parts = {
        'Sentinel-2': table(OPTICAL_FORMS),
        'Sentinel-1': table(RADAR_FORMS),
        'Cloud masks': mask_table(),
    }
    return '\n'.join(f'<!-- {name} -->\n\n{text}\n' for name, text in parts.items())


if __name__ == '__main__':
    print(forms_page(), end='')
