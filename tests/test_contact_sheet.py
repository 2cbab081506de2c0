"""Sheets of predictions."""

import numpy as np
import pytest
from numpy.typing import NDArray

from oxiconv.contact_sheet import contact_sheet


def _is_red(cell: NDArray[np.uint8]) -> bool:
    return bool((cell == [200, 20, 30]).all(axis=-1).any())


def test_wrong_predictions_are_marked() -> None:
    pictures = np.zeros((5, 28, 28), np.uint8)
    pictures[:, 10, 10] = 255
    sheet = contact_sheet(pictures, [0, 1, 2, 0, 1], [0, 2, 2, 0, 0], ["zero", "one", "two"], columns=3)
    height, width = sheet.shape[0] // 2, sheet.shape[1] // 3
    cells = [sheet[r * height : (r + 1) * height, c * width : (c + 1) * width] for r in (0, 1) for c in (0, 1, 2)]
    assert [_is_red(cell) for cell in cells] == [False, True, False, False, True, False]
    assert (cells[5] == 255).all()
    # Equal labels are written equally, different ones are not; the ink of the picture is black on white.
    np.testing.assert_array_equal(cells[0], cells[3])
    assert (cells[0] != cells[2]).any()
    assert (cells[0] == 0).all(axis=-1).sum() == 9  # one pixel, three times as wide and high


def test_every_letter_is_drawn_differently() -> None:
    letters = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-/?", " "]
    blank = np.zeros((1, 28, 28), np.uint8)
    drawn = {contact_sheet(blank, [k], [k], letters).tobytes() for k in range(len(letters))}
    assert len(drawn) == len(letters)


def test_counts_must_agree() -> None:
    with pytest.raises(ValueError, match="got 2 pictures, 1 labels, 2 predictions"):
        contact_sheet(np.zeros((2, 28, 28), np.uint8), [0], [0, 0], ["zero"])
    with pytest.raises(ValueError, match="got 0 pictures"):
        contact_sheet(np.zeros((0, 28, 28), np.uint8), [], [], ["zero"])
