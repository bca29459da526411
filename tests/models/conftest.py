# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Makes the helpers in this folder importable, with assertions that say what failed."""

import pytest

pytest.register_assert_rewrite('model_checks', 'baseline_tests', 'diffusion_tests')
