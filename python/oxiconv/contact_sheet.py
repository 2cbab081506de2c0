"""A sheet of pictures with the labels a model predicted for them, wrong ones marked."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_ZOOM = 3  # pixels of the sheet per pixel of a picture
_FRAME = 2
_GAP = 6
_PAPER = np.array([255, 255, 255], np.uint8)
_RIGHT = np.array([20, 110, 40], np.uint8)
_WRONG = np.array([200, 20, 30], np.uint8)

# Letters 5 pixels wide and 7 high, one column apart.
_LETTER_WIDTH, _LETTER_HEIGHT = 5, 7
_FONT = (
    (
        "ABCDEFGHIJKLM",
        ".###. ####. .###. ####. ##### ##### .###. #...# .###. ..### #...# #.... #...#",
        "#...# #...# #...# #...# #.... #.... #...# #...# ..#.. ...#. #..#. #.... ##.##",
        "#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #.#.. #.... #.#.#",
        "##### ####. #.... #...# ####. ####. #.### ##### ..#.. ...#. ##... #.... #.#.#",
        "#...# #...# #.... #...# #.... #.... #...# #...# ..#.. ...#. #.#.. #.... #...#",
        "#...# #...# #...# #...# #.... #.... #...# #...# ..#.. #..#. #..#. #.... #...#",
        "#...# ####. .###. ####. ##### #.... .###. #...# .###. .##.. #...# ##### #...#",
    ),
    (
        "NOPQRSTUVWXYZ",
        "#...# .###. ####. .###. ####. .#### ##### #...# #...# #...# #...# #...# #####",
        "##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# #...# #...# ....#",
        "#.#.# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#.",
        "#.#.# #...# ####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#..",
        "#..## #...# #.... #.#.# #.#.. ....# ..#.. #...# .#.#. #.#.# .#.#. ..#.. .#...",
        "#...# #...# #.... #..#. #..#. ....# ..#.. #...# .#.#. ##.## #...# ..#.. #....",
        "#...# .###. #.... .##.# #...# ####. ..#.. .###. ..#.. #...# #...# ..#.. #####",
    ),
    (
        ".:,|_%()",
        "..... ..... ..... ..#.. ..... ##..# ...#. .#...",
        "..... ..... ..... ..#.. ..... ##..# ..#.. ..#..",
        "..... ..#.. ..... ..#.. ..... ...#. ..#.. ..#..",
        "..... ..... ..... ..#.. ..... ..#.. ..#.. ..#..",
        "..... ..... ..... ..#.. ..... .#... ..#.. ..#..",
        "..... ..#.. ..#.. ..#.. ..... #..## ..#.. ..#..",
        "..#.. ..... .#... ..#.. ##### #..## ...#. .#...",
    ),
    (
        "0123456789-/?",
        ".###. ..#.. .###. ##### ...#. ##### ..##. ##### .###. .###. ..... ....# .###.",
        "#...# .##.. #...# ...#. ..##. #.... .#... ....# #...# #...# ..... ...#. #...#",
        "#..## ..#.. ....# ..#.. .#.#. ####. #.... ...#. #...# #...# ..... ...#. ....#",
        "#.#.# ..#.. ...#. ...#. #..#. ....# ####. ..#.. .###. .#### ##### ..#.. ...#.",
        "##..# ..#.. ..#.. ....# ##### ....# #...# ..#.. #...# ....# ..... .#... ..#..",
        "#...# ..#.. .#... #...# ...#. #...# #...# ..#.. #...# ...#. ..... .#... .....",
        ".###. .###. ##### .###. ...#. .###. .###. ..#.. .###. .##.. ..... #.... ..#..",
    ),
)
_LETTERS: dict[str, tuple[str, ...]] = {
    letter: tuple(row.split(" ")[column] for row in rows)
    for letters, *rows in _FONT
    for column, letter in enumerate(letters)
} | {" ": ("." * _LETTER_WIDTH,) * _LETTER_HEIGHT}


def contact_sheet(
    pictures: Pixels, labels: Sequence[int], predicted: Sequence[int], names: Sequence[str], columns: int = 10
) -> Pixels:
    """Draws pictures in rows, the predicted label under each: green where right; red, with what it is, where wrong.

    Args:
        pictures: uint8 `[n, height, width]`.
        labels: `n` true labels, indices into `names`.
        predicted: `n` predicted labels.
        names: the classes' names; letters that the sheet's small font lacks are drawn as "?".
        columns: pictures in a row.

    Returns:
        uint8 `[height, width, 3]`, for `oxiconv.images.write_image`.

    Raises:
        ValueError: the counts differ, or there is no picture.

    >>> contact_sheet(np.zeros((3, 28, 28), np.uint8), [0, 1, 1], [0, 1, 0], ["no", "yes"], columns=3).shape
    (122, 282, 3)
    """
    count = len(pictures)
    if not 0 < count == len(labels) == len(predicted):
        raise ValueError(
            f"contact_sheet: needs as many labels and predictions as pictures, at least one, "
            f"got {count} pictures, {len(labels)} labels, {len(predicted)} predictions"
        )
    cells = [_cell(*cell, names) for cell in zip(pictures, labels, predicted, strict=True)]
    cells += [np.full_like(cells[0], 255)] * (-count % columns if count > columns else 0)
    rows = [np.concatenate(cells[start : start + columns], axis=1) for start in range(0, len(cells), columns)]
    return np.concatenate(rows, axis=0)


def _cell(picture: Pixels, label: int, predicted: int, names: Sequence[str]) -> Pixels:
    colour = _RIGHT if label == predicted else _WRONG
    # Ink on paper prints better than paper on ink.
    large = 255 - np.kron(picture, np.ones((_ZOOM, _ZOOM), np.uint8))
    height, width = large.shape
    line = _LETTER_HEIGHT + 4
    cell = np.tile(_PAPER, (height + 2 * _FRAME + _GAP + 2 * line + _GAP, width + 2 * _FRAME + 2 * (_GAP // 2), 1))
    left = _GAP // 2
    cell[_GAP // 2 : _GAP // 2 + height + 2 * _FRAME, left : left + width + 2 * _FRAME] = colour
    top = _GAP // 2 + _FRAME
    cell[top : top + height, left + _FRAME : left + _FRAME + width] = large[..., None]
    below = top + height + _FRAME + 3
    write(cell, below, left + _FRAME, names[predicted], colour)
    if label != predicted:
        write(cell, below + line, left + _FRAME, f"is {names[label]}", colour)
    return cell


def write(cell: Pixels, top: int, left: int, text: str, colour: Pixels) -> None:
    """Writes as much of the text as the cell is wide."""
    for column, letter in enumerate(text.upper()):
        x = left + column * (_LETTER_WIDTH + 1)
        if x + _LETTER_WIDTH > cell.shape[1]:
            return
        ink = np.array([[dot == "#" for dot in row] for row in _LETTERS.get(letter, _LETTERS["?"])])
        cell[top : top + _LETTER_HEIGHT, x : x + _LETTER_WIDTH][ink] = colour
