# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Pictures of samples, and the one palette of land-cover classes."""

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from torchgeo_tdpcr.callbacks.geotiff.layers.kinds import ClassesLayer
from torchgeo_tdpcr.datasets.plotting import (
    CLASS_COLOURS,
    class_colour,
    class_colours,
    land_cover_picture,
    plot_sample,
    rgb_picture,
)
from torchgeo_tdpcr.datasets.scenes.common import SceneInfo
from torchgeo_tdpcr.figures import plot_land_cover

NAMES = ['nameless', 'trees', 'water']


def test_named_classes_have_their_colours_and_others_those_of_their_number() -> None:
    assert class_colour('trees', 0) == class_colour('trees', 7) == (57, 125, 73)
    assert class_colour('nameless', 1) == class_colour('class 21', 21)
    assert class_colour('nameless', 1) != class_colour('nameless', 2)
    assert set(NAMES[1:]) <= set(CLASS_COLOURS)
    assert class_colours([]).shape == (0, 3)


def test_a_class_has_one_colour_in_pictures_and_in_files() -> None:
    labels = torch.tensor([[0, 1], [2, 255]])
    picture = land_cover_picture(labels, class_colours(NAMES))
    np.testing.assert_array_equal(picture[1, 1], [1, 1, 1])
    (band,) = ClassesLayer(NAMES).bands(3, SceneInfo.__new__(SceneInfo))
    written = np.array(band.colors, dtype=np.float32) / 255
    np.testing.assert_allclose(picture.reshape(-1, 3)[:3], written, atol=1e-6)

    sample = {'image': torch.rand(3, 2, 2), 'mask': labels}
    figures = (
        plot_sample(sample, (0, 1, 2), NAMES),
        plot_land_cover([sample], {'m': [labels]}, NAMES, (0, 1, 2)),
    )
    for figure in figures:
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == NAMES
        colours = [to_rgb(patch.get_facecolor()) for patch in legend.get_patches()]
        np.testing.assert_allclose(colours, written, atol=1e-6)
    plt.close('all')


def test_land_is_not_dark_beside_clouds() -> None:
    image = torch.tensor([100.0, 1000, 3000, 9000]).expand(3, 1, 4)
    (row,) = rgb_picture(image, (0, 1, 2))
    expected = [0, (850 / 2850) ** 0.65, 1, 1]
    for channel in row.T:
        np.testing.assert_allclose(channel, expected, rtol=1e-6)
    assert 0.4 < row[1, 0] < 0.5


def test_white_is_what_the_sensor_calls_white() -> None:
    sample = {
        'image': torch.full((3, 2, 2), 255.0),
        'image_sar': torch.full((1, 2, 2), 100.0),
    }
    figure = plot_sample(sample, (0, 1, 2), (), 255, 200)
    optical, radar = (ax.images[0].get_array() for ax in figure.axes)
    np.testing.assert_allclose(optical, 1)
    np.testing.assert_allclose(radar, 0.5)
    assert [ax.get_title() for ax in figure.axes] == ['Cloudy', 'Radar']
    assert not figure.legends
    plt.close('all')
