# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The scenes of WHU-OPT-SAR: how they are split, and where they lie.

Scenes are named after sheets of the Chinese topographic map at 1:50,000: ``NH49E001013``
is row 1 and column 13 of the 24×24 sheets of ``NH49``, which is row H (the eighth from
the equator, 4° each) and column 49 (6° each, the first begins at 180° W) of the map of
the world. A sheet is 10 minutes of latitude high and 15 of longitude wide; the scenes have
these proportions.
"""

import re

_TRAIN = {
    'NH49E': '001013 002014 004013 004021 005014 005023 005024 006011 006014 '
    '006017 006022 006024 007013 007017 007023 007024 008014 008017 '
    '008024 009012 009014 009023 009024 010014 010015 010016 010022 '
    '011011 011017 012009 012017 012018 012022 013007 013018 013021 '
    '013023 014007 014017 014021 014022 014024',
    'NH50E': '003001 006001 006007 007001 007003 007004 008003 009001 009003 '
    '009004 009006 010001 010003 010004 011002 011004 012001 012004 '
    '012005 012008 013001 013002 013005 016002',
    'NI49E': '021010 021011 021012 022010 022011 022013 022014 022015 023017 '
    '024013 024017 024018 024019 024020',
}
_TEST = {
    'NH49E': '001014 001017 002012 002016 003014 003024 004011 005011 005019 '
    '006019 007014 008013 009017 010020 011024 012020 013010',
    'NH50E': '007002 011005 014003',
}


def _names(sheets: dict[str, str]) -> tuple[str, ...]:
    return tuple(a + b for a, numbers in sheets.items() for b in numbers.split())


#: The 80 training scenes of the published split.
TRAIN_SCENES = _names(_TRAIN)

#: The 20 test scenes of the published split.
TEST_SCENES = _names(_TEST)

_SHEET = re.compile(r'N([A-V])(\d\d)E(\d{3})(\d{3})', re.IGNORECASE)


def sheet_bounds(name: str) -> tuple[float, float, float, float] | None:
    """Return where a sheet of the map at 1:50,000 lies.

    Args:
        name: Number of the sheet.

    Returns:
        Least longitude, least latitude, greatest longitude and greatest latitude in
        degrees; None if *name* is no number of such a sheet.

    Example:
        >>> sheet_bounds('NH49E001013')
        (111.0, 31.833333333333332, 111.25, 32.0)
    """
    match = _SHEET.fullmatch(name)
    if match is None:
        return None
    row, column = int(match[3]), int(match[4])
    zone = int(match[2])
    if not (1 <= row <= 24 and 1 <= column <= 24 and 1 <= zone <= 60):
        return None
    top = 4 * (ord(match[1].upper()) - ord('A') + 1) - (row - 1) / 6
    left = 6 * zone - 186 + (column - 1) / 4
    return left, top - 1 / 6, left + 1 / 4, top
