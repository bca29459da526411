# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Configuration of Sphinx."""

from torchgeo_tdpcr import __version__

project = 'torchgeo-tdpcr'
author = 'torchgeo-tdpcr contributors'
copyright = '2026, torchgeo-tdpcr contributors'
release = version = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
]
# The results are included by pages, they are none themselves.
exclude_patterns = ['_build', 'results']
default_role = 'code'
nitpicky = False

html_theme = 'furo'
html_title = f'torchgeo-tdpcr {release}'
html_static_path = ['_static']
html_css_files = ['tables.css']

myst_enable_extensions = ['colon_fence', 'deflist', 'dollarmath']
myst_heading_anchors = 3

# The arguments of most classes are documented in their __init__, as in TorchGeo.
autoclass_content = 'both'
# Otherwise classes without such a docstring would show that of torch's Module.
autodoc_inherit_docstrings = False
autodoc_member_order = 'bysource'
autodoc_typehints_format = 'short'
autodoc_class_signature = 'mixed'
autodoc_default_options = {'members': True, 'show-inheritance': True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88
