"""PNG files and contact sheets, read back by a decoder that shares no code with the writer."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from oxiconv.contact_sheet import contact_sheet
from oxiconv.png import write_png


def read_png(path: Path) -> NDArray[np.uint8]:
    """Decodes an 8-bit grey or RGB file without row filters; checks every checksum."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + data) == struct.unpack(">I", content[at + 8 + size : at + 12 + size])[0]
        chunks.append((kind, data))
        at += size + 12
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">2I5B", chunks[0][1])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = {0: 1, 2: 3}[colour]
    rows = np.frombuffer(zlib.decompress(chunks[1][1]), np.uint8).reshape(height, 1 + width * channels)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape((height, width) if channels == 1 else (height, width, 3))


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (28, 28), (4, 3, 3)])
def test_pixels_survive(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    write_png(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), pixels)
    # A view with other strides is the same picture.
    write_png(tmp_path / "b.png", pixels[::-1, ::-1])
    np.testing.assert_array_equal(read_png(tmp_path / "b.png"), pixels[::-1, ::-1])


def test_bad_pixels(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="pixels must be uint8, got float64"):
        write_png(tmp_path / "a.png", np.zeros((2, 2)))  # type: ignore[arg-type]
    for shape in [(4,), (2, 2, 4), (0, 3), (2, 0, 3)]:
        with pytest.raises(ValueError, match=r"pixels must be \[height, width\]"):
            write_png(tmp_path / "a.png", np.zeros(shape, np.uint8))
    assert list(tmp_path.iterdir()) == []


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
