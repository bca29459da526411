# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The former name of the writer, which TorchGeo is about to take for one of its own.

On the command line a short name must be that of one class only, or it is refused. So
this module is imported by itself only where TorchGeo has no callback of that name.
"""

import warnings
from typing import Any

from .writer import SceneWriter


class GeoTIFFWriter(SceneWriter):
    """Deprecated: use :class:`SceneWriter`, which takes the same arguments.

    Args:
        *args: Arguments of :class:`SceneWriter`.
        **kwargs: Keyword arguments of :class:`SceneWriter`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # DeprecationWarning would not reach whoever uses the command line
        warnings.warn(
            '`GeoTIFFWriter` of torchgeo-tdpcr is deprecated and will go with the next '
            'version; use `SceneWriter`, with the same arguments.',
            FutureWarning,
            stacklevel=2,
        )
        super().__init__(*args, **kwargs)
