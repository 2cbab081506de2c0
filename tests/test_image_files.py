"""Image files: what is written is read by a decoder that shares no code, what is read was written by hand."""

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oxiconv import FileFormatError, _core, config
from oxiconv.images import Image, load_batch, read_image, write_image
from oxiconv.images.files import encode_image
from reference.jpeg_files import JPEG_FILES
from reference.png_files import PALETTE, chunk, png

RNG = np.random.default_rng(0)
PIXELS = {
    "grey": RNG.integers(0, 256, (5, 7, 1), np.uint8),
    "grey and alpha": RNG.integers(0, 256, (4, 3, 2), np.uint8),
    "rgb": RNG.integers(0, 256, (9, 8, 3), np.uint8),
    "rgba": RNG.integers(0, 256, (3, 6, 4), np.uint8),
}


def read(content: bytes) -> NDArray[Any]:
    return read_image(io.BytesIO(content))


def unfiltered(content: bytes) -> NDArray[np.uint8]:
    """Decodes an 8-bit PNG file by the specification, checking every checksum."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + data) == struct.unpack(">I", content[at + 8 + size : at + 12 + size])[0]
        chunks.append((kind, data))
        at += size + 12
    width, height, depth, colour, *rest = struct.unpack(">2I5B", chunks[0][1])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = {0: 1, 4: 2, 2: 3, 6: 4}[colour]
    data = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    rows = np.frombuffer(data, np.uint8).reshape(height, 1 + width * channels).astype(int)
    out = np.zeros((height + 1, channels + width * channels), int)
    for y, (kind, *row) in enumerate(rows.tolist()):
        for x, value in enumerate(row, channels):
            left, up, corner = out[y + 1, x - channels], out[y, x], out[y, x - channels]
            nearest = min((left, up, corner), key=lambda v: abs(left + up - corner - v))
            out[y + 1, x] = (value + [0, left, up, (left + up) // 2, nearest][kind]) % 256
    return out[1:, channels:].reshape(height, width, channels).astype(np.uint8)


@pytest.mark.parametrize("name", PIXELS)
def test_png_is_written_by_the_specification(tmp_path: Path, name: str) -> None:
    pixels = PIXELS[name]
    write_image(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(unfiltered((tmp_path / "a.png").read_bytes()), pixels)
    # A view with other strides is the same picture.
    turned = pixels[::-1, ::-1]
    np.testing.assert_array_equal(unfiltered(encode_image(turned, "png")), turned)


@pytest.mark.parametrize("format", ["png", "webp", "bmp"])
@pytest.mark.parametrize("name", PIXELS)
def test_lossless_formats_keep_every_pixel(format: str, name: str) -> None:
    pixels = PIXELS[name]
    if (format, name) == ("bmp", "grey and alpha"):
        with pytest.raises(FileFormatError, match="3 x 4 pixels of 2 x 8 bits as Bmp"):
            encode_image(pixels, format)
        return
    found = read(encode_image(pixels, format))
    # WebP and BMP may hold grey as colours.
    wanted = pixels[..., [0, 0, 0, 1]] if name == "grey and alpha" and found.shape[2] == 4 else pixels
    np.testing.assert_array_equal(found, np.broadcast_to(wanted, found.shape))


def test_16_bits_are_kept() -> None:
    pixels = RNG.integers(0, 65536, (4, 5), np.uint16)
    for content in (png(pixels, depth=16), encode_image(pixels, "png")):
        found = read(content)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found[..., 0], pixels)
    with pytest.raises(FileFormatError, match="5 x 4 pixels of 1 x 16 bits as Jpeg"):
        encode_image(pixels, "jpeg")


def test_small_depths_and_palettes_are_spread_out() -> None:
    bits = RNG.integers(0, 16, (3, 5))
    np.testing.assert_array_equal(read(png(bits, depth=4))[..., 0], bits * 17)
    np.testing.assert_array_equal(read(png(bits % 2, depth=1))[..., 0], bits % 2 * 255)
    palette = [(9, 8, 7), (200, 100, 0), (1, 2, 3)]
    numbers = bits % 3
    np.testing.assert_array_equal(read(png(numbers, PALETTE, palette=palette)), np.array(palette)[numbers])
    found = read(png(numbers, PALETTE, palette=palette, transparent=bytes([0, 128])))
    np.testing.assert_array_equal(found[..., 3], np.array([0, 128, 255])[numbers])


def gif(frames: list[NDArray[np.int64]], palette: list[tuple[int, int, int]]) -> bytes:
    """A GIF file of four colours, its codes uncompressed: a clear code before each pair of pixels."""
    height, width = frames[0].shape
    content = b"GIF89a" + struct.pack("<2H3B", width, height, 0xF1, 0, 0) + bytes(v for p in palette for v in p)
    for frame in frames:
        codes = [c for pair in frame.reshape(-1, 2).tolist() for c in (4, *pair)] + [5]
        bits = "".join(f"{code:03b}"[::-1] for code in codes)
        bits += "0" * (-len(bits) % 8)
        data = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
        content += b"\x2c" + struct.pack("<4HB", 0, 0, width, height, 0) + b"\x02" + bytes([len(data)]) + data + b"\0"
    return content + b"\x3b"


def test_gif_gives_its_first_picture() -> None:
    palette = [(0, 0, 0), (255, 0, 0), (0, 250, 0), (1, 2, 3)]
    frames = [RNG.integers(0, 4, (4, 6)) for _ in range(2)]
    np.testing.assert_array_equal(read(gif(frames, palette))[..., :3], np.array(palette)[frames[0]])


def test_jpeg_is_close_and_takes_a_quality() -> None:
    y, x = np.mgrid[0:40, 0:50]
    smooth = np.stack([2 * x + y, 255 - 3 * y, x + 4 * y], -1).clip(0, 255).astype(np.uint8)
    sizes = []
    for quality, most in ((95, 6), (50, 25)):
        content = encode_image(smooth, "jpeg", quality)
        sizes.append(len(content))
        # Quantization moves a coefficient by half a step: at quality 95 by 1 to 5 levels.
        assert np.abs(read(content).astype(int) - smooth).max() <= most
    assert sizes[1] < sizes[0]
    with pytest.raises(ValueError, match="JPEG quality: expected 1 to 100, got 0"):
        encode_image(smooth, "jpeg", 0)


def test_a_note_on_the_camera_is_ignored() -> None:
    assert read(JPEG_FILES["rotated"]).shape == (24, 20, 3)


def test_bad_pixels_and_formats(tmp_path: Path) -> None:
    for pixels in (
        np.zeros((2, 2)),
        np.zeros((4,), np.uint8),
        np.zeros((2, 2, 5), np.uint8),
        np.zeros((0, 3), np.uint8),
    ):
        with pytest.raises(ValueError, match=r"encode_image: expected a picture"):
            write_image(tmp_path / "a.png", pixels)
    with pytest.raises(ValueError, match=r"Image format: expected one of png, .* got 'tiff'"):
        write_image(tmp_path / "a.tiff", PIXELS["rgb"])
    assert list(tmp_path.iterdir()) == []


FILES = {
    **{f"{name}.jpg": content for name, content in JPEG_FILES.items()},
    "grey.png": png(PIXELS["grey"]),
    "deep.png": png(RNG.integers(0, 65536, (6, 5, 3)), depth=16),
    "a.bmp": encode_image(PIXELS["rgb"], "bmp"),
    "a.webp": encode_image(PIXELS["rgb"], "webp"),
    "a.gif": gif([RNG.integers(0, 4, (6, 6))], [(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3)]),
}


@pytest.mark.parametrize("name", FILES)
def test_truncated_files_are_errors(tmp_path: Path, name: str) -> None:
    whole = FILES[name]
    read(whole)
    # A GIF file's last bytes hold no pixels, nor do those of a PNG file; half a file lacks some in each format.
    for size in sorted({0, 1, 3, 9, 20, len(whole) // 3, len(whole) // 2, len(whole) * 3 // 4}):
        path = tmp_path / name
        path.write_bytes(whole[:size])
        with pytest.raises(FileFormatError, match=name):
            read_image(path)
        with pytest.raises(FileFormatError, match=name):
            load_batch([str(path)], (4, 4))


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_never_panic(name: str, data: st.DataObject) -> None:
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FileFormatError):
        assert read(bytes(content)).ndim == 3


def huge(width: int, height: int) -> dict[str, bytes]:
    """Small files that claim to be large."""
    ihdr = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    jpeg = bytearray(JPEG_FILES["grey"])
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">2H", min(height, 65535), min(width, 65535))
    bmp = bytearray(FILES["a.bmp"])
    bmp[18:26] = struct.pack("<2i", width, height)
    return {
        "a.png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", data) + chunk(b"IEND", b""),
        "a.jpg": bytes(jpeg),
        "a.bmp": bytes(bmp),
        "a.gif": FILES["a.gif"][:6] + struct.pack("<2H", 65535, 65535) + FILES["a.gif"][10:],
    }


@pytest.mark.parametrize("name", huge(1, 1))
def test_memory_is_not_asked_for_on_a_claim(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(huge(60000, 60000)[name])
    with pytest.raises(FileFormatError, match=rf"{name}: claims \d+ x \d+ pixels; from \d+ bytes at most 16777216"):
        read_image(path)


def test_no_image_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(FileFormatError, match=r"a.png: expected a JPEG, PNG, GIF, BMP or WebP file, got 5 bytes"):
        read_image(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match=r"b.png"):
        load_batch([str(tmp_path / "b.png")], (4, 4))
    with pytest.raises(IsADirectoryError):
        read_image(tmp_path)


def test_a_batch_is_the_same_for_any_number_of_threads_and_names_the_first_bad_file(tmp_path: Path) -> None:
    paths = []
    for i in range(20):
        paths.append(str(tmp_path / f"{i}.png"))
        write_image(paths[-1], RNG.integers(0, 256, (5 + i, 9, 3), np.uint8))
    before = config.num_threads()
    try:
        found = []
        for threads in (1, 2, 5):
            config.set_num_threads(threads)
            found.append(load_batch(paths, (8, 6)))
    finally:
        config.set_num_threads(before)
    assert found[0].shape == (20, 8, 6, 3)
    assert found[0].dtype == np.float32
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)
    for i in (3, 11):
        Path(paths[i]).write_bytes(b"\x89PNG\r\n\x1a\n")
    config.set_num_threads(1)
    try:
        with pytest.raises(FileFormatError, match=r"3\.png: damaged Png file"):
            load_batch(paths, (8, 6))
    finally:
        config.set_num_threads(before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (0, 4)}, r"load_batch: expected a size of at least \(1, 1\) and 1, 3 or 4 channels, got \(0, 4\), 3"),
        ({"channels": 2}, r"load_batch: expected .*, got \(4, 4\), 2"),
        ({"interpolation": "cubic"}, 'interpolation: expected one of bilinear, nearest, .*, got "cubic"'),
        ({"fit": "squeeze"}, 'fit: expected one of stretch, crop, pad, got "squeeze"'),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_batch([], **{"size": (4, 4), **arguments})


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((1, 4, 4, 3)),
        np.zeros((1, 4, 4), np.float32),
        np.zeros((2, 4, 4, 3), np.float32),
        np.zeros((1, 4, 4, 2), np.float32),
        np.zeros((1, 8, 4, 3), np.float32)[:, ::2],
        np.broadcast_to(np.zeros((1, 4, 4, 3), np.float32), (1, 4, 4, 3)),
    ],
)
def test_the_core_writes_to_fitting_arrays_alone(out: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="load_images: out: expected a writable float32 array"):
        _core.load_images(["a"], out, "bilinear", "stretch", False)


# What Pillow 13 makes of `picture(mode)` with each filter, resized to 3 x 4 (width x height) from the box (1, 0, 7, 5).
PILLOW = {
    ("L", "nearest"): ("90 172 246 114 164 206 34 20 254 186 140 86"),
    ("L", "box"): ("52 200 212 100 136 100 20 72 244 180 72 84"),
    ("L", "bilinear"): ("76 184 188 113 131 111 76 75 129 134 88 120"),
    ("L", "hamming"): ("60 195 204 100 153 125 57 74 162 161 77 102"),
    ("L", "bicubic"): ("64 200 200 117 136 101 68 61 135 139 81 125"),
    ("L", "lanczos"): ("59 216 204 126 133 91 68 48 134 134 83 135"),
    ("RGBA", "nearest"): (
        "56 54 114 236 240 222 10 116 40 6 34 124 24 214 210 12 208 126 106 148 8 166 130 156 216 22 146 76 "
        "144 190 42 212 200 230 66 220 184 182 242 108 112 94 138 244 168 134 162 252"
    ),
    ("RGBA", "box"): (
        "95 95 159 178 212 198 82 90 33 3 37 130 135 166 132 98 160 105 136 138 184 113 184 178 111 115 55 "
        "146 112 161 126 186 194 227 68 226 87 90 156 178 78 64 112 218 168 133 162 130"
    ),
    ("RGBA", "bilinear"): (
        "89 85 141 146 156 127 85 114 86 80 74 130 131 149 117 87 176 106 136 127 184 112 169 167 116 155 108 "
        "125 140 140 142 165 199 160 120 205 88 95 133 158 95 100 122 173 163 150 121 161"
    ),
    ("RGBA", "hamming"): (
        "93 93 154 167 188 167 82 99 50 33 50 131 131 140 117 91 167 103 120 131 170 126 165 171 116 145 90 "
        "133 126 145 140 173 201 178 113 213 87 90 146 172 82 75 115 203 168 143 145 144"
    ),
    ("RGBA", "bicubic"): (
        "85 80 148 153 173 140 71 107 67 73 55 129 132 161 116 79 183 95 132 125 184 107 183 171 115 160 102 "
        "124 135 141 148 168 206 164 118 215 86 87 136 163 86 92 118 179 166 161 119 158"
    ),
    ("RGBA", "lanczos"): (
        "78 70 147 152 181 145 61 107 65 88 43 129 123 177 113 72 192 89 135 122 189 99 197 172 114 167 104 "
        "122 135 140 155 169 207 163 116 224 85 83 136 162 83 94 115 172 163 170 107 159"
    ),
    ("I;16", "nearest"): ("15962 32172 48630 16754 33956 51406 30242 49428 3326 42938 63116 18006"),
    ("I;16", "box"): ("11956 28104 44500 14756 32392 50276 25492 44616 31220 37940 58056 12884"),
    ("I;16", "bilinear"): ("14156 28504 45148 19175 31949 46337 21975 40685 37116 35716 46227 24218"),
    ("I;16", "hamming"): ("12246 28253 44741 15672 31465 48353 22692 41488 37774 36939 54094 17023"),
    ("I;16", "bicubic"): ("12538 27875 46036 17278 30927 48952 20392 43445 37781 36135 51078 20478"),
    ("I;16", "lanczos"): ("12687 27411 46290 17589 29788 49759 17827 47498 37441 36049 52661 19986"),
}


def picture(mode: str) -> NDArray[Any]:
    channels = {"L": 1, "RGBA": 4, "I;16": 1}[mode]
    values = (np.arange(6 * 8 * channels) * 7919 + 31 * np.arange(6 * 8 * channels) ** 2) % (
        65536 if ";" in mode else 256
    )
    shaped = values.reshape(6, 8, channels).astype(np.uint16 if ";" in mode else np.uint8)
    return shaped[..., 0] if channels == 1 else shaped


@pytest.mark.parametrize(("mode", "filter"), PILLOW)
def test_resizing_is_pillows(mode: str, filter: str) -> None:
    image = Image(picture(mode))
    assert image.mode == mode
    resized = image.resize((3, 4), filter, (1, 0, 7, 5))
    assert resized.size == (3, 4)
    assert " ".join(map(str, np.asarray(resized).ravel())) == PILLOW[mode, filter]


def test_conversions_are_pillows() -> None:
    colours = np.array([[[200, 0, 0], [0, 200, 0], [0, 0, 200], [10, 20, 30]]], np.uint8)
    image = Image(colours)
    assert np.asarray(image.convert("L")).tolist() == [[60, 117, 23, 18]]
    assert np.asarray(image.convert("RGBA"))[..., 3].tolist() == [[255] * 4]
    assert image.convert("RGB") is image
    deep = Image(np.array([[0x180, 7]], np.uint16))
    assert np.asarray(deep.convert("L")).tolist() == [[255, 7]]
    with pytest.raises(ValueError, match='expected mode "L", "RGB" or "RGBA", got \'CMYK\''):
        image.convert("CMYK")


def test_image_objects(tmp_path: Path) -> None:
    image = Image(PIXELS["rgb"])
    assert (image.size, image.width, image.height, repr(image)) == ((8, 9), 8, 9, "<oxiconv.images.Image RGB 8x9>")
    image.save(tmp_path / "a.bmp")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.bmp")), PIXELS["rgb"])
    image.save(os.fsencode(tmp_path / "b"), format="png")
    assert Image.open(tmp_path / "b").mode == "RGB"
    with pytest.raises(ValueError, match="a file object needs a format"):
        image.save(io.BytesIO())
    with pytest.raises(ValueError, match=r"expected a box within \(8, 9\)"):
        image.resize((2, 2), box=(0, 0, 9, 9))
    with pytest.raises(ValueError, match="expected pixels as documented, got float64"):
        Image(np.zeros((2, 2)))
    wide = Image(np.array([[0, 70000]], np.int32))
    assert wide.mode == "I"
    with pytest.raises(ValueError, match="outside of 0 to 65535"):
        wide.save(tmp_path / "c.png")
