"""Single images from and to files and arrays, without Pillow and, where it is installed, with it."""

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxiconv import utils
from oxiconv.images import Image, read_image, write_image
from oxiconv.preprocessing import image as older
from reference.png_files import png

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 9, 3), np.uint8)


@pytest.fixture(params=["without Pillow", "with Pillow"], autouse=True)
def pillow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param == "with Pillow":
        pytest.importorskip("PIL.Image", reason="Pillow is not installed")
        return True
    monkeypatch.setitem(sys.modules, "PIL", None)
    return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_image(tmp_path / "a.png", COLOURS)
    return tmp_path / "a.png"


def test_load_img(path: Path, pillow: bool) -> None:
    for source in (path, str(path), str(path).encode(), io.BytesIO(path.read_bytes())):
        image = utils.load_img(source)
        assert isinstance(image, Image) != pillow
        assert (image.size, image.mode) == ((9, 6), "RGB")
        np.testing.assert_array_equal(np.asarray(image), COLOURS)
    assert utils.load_img(path, color_mode="grayscale").mode == "L"
    assert utils.load_img(path, "rgba").mode == "RGBA"
    assert utils.load_img(path, target_size=(3, 4)).size == (4, 3)
    # The nearest pixels are at the middles of thirds and of quarters.
    np.testing.assert_array_equal(np.asarray(utils.load_img(path, target_size=(3, 3))), COLOURS[1::2, 1::3])
    middle = utils.load_img(path, target_size=(6, 6), keep_aspect_ratio=True)
    np.testing.assert_array_equal(np.asarray(middle), COLOURS[:, 1:7])


def test_16_bit_grey_stays(tmp_path: Path) -> None:
    labels = RNG.integers(0, 1000, (4, 5))
    (tmp_path / "a.png").write_bytes(png(labels, depth=16))
    found = utils.img_to_array(utils.load_img(tmp_path / "a.png", color_mode="grayscale"))
    np.testing.assert_array_equal(found[..., 0], labels)
    clipped = utils.img_to_array(utils.load_img(tmp_path / "a.png"))
    np.testing.assert_array_equal(clipped, np.repeat(np.minimum(labels, 255)[..., None], 3, -1))


def test_img_to_array(path: Path) -> None:
    image = utils.load_img(path)
    assert utils.img_to_array(image).dtype == np.float32
    assert utils.img_to_array(image, dtype="uint8").dtype == np.uint8
    np.testing.assert_array_equal(utils.img_to_array(image), COLOURS)
    np.testing.assert_array_equal(utils.img_to_array(image, "channels_first"), COLOURS.transpose(2, 0, 1))
    grey = utils.load_img(path, color_mode="grayscale")
    assert utils.img_to_array(grey).shape == (6, 9, 1)
    assert utils.img_to_array(grey, "channels_first").shape == (1, 6, 9)
    with pytest.raises(ValueError, match="expected two or three axes"):
        utils.img_to_array(np.zeros(3))
    with pytest.raises(ValueError, match="data_format: expected"):
        utils.img_to_array(image, "hwc")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_array_to_img(channels: int) -> None:
    x = RNG.normal(size=(5, 4, channels)).astype(np.float32)
    scaled = (x - x.min()) / (x.max() - x.min()) * 255
    image = utils.array_to_img(x)
    assert image.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    # Fractions are cut off: half an ulp decides between two neighbours.
    assert np.abs(np.asarray(image).reshape(x.shape) - np.floor(scaled)).max() <= 1
    turned = utils.array_to_img(x.transpose(2, 0, 1), data_format="channels_first")
    np.testing.assert_array_equal(np.asarray(turned), np.asarray(image))
    exact = RNG.integers(0, 256, x.shape)
    np.testing.assert_array_equal(np.asarray(utils.array_to_img(exact, scale=False)).reshape(x.shape), exact)
    assert not np.asarray(utils.array_to_img(np.full((2, 2, channels), 3.0))).any()


def test_bad_arrays(path: Path) -> None:
    for wrong in (np.zeros((2, 2)), np.zeros((2, 2, 2)), np.zeros((0, 2, 3))):
        with pytest.raises(ValueError, match="array_to_img: expected"):
            utils.array_to_img(wrong)
    assert utils.array_to_img(np.full((2, 2, 1), 300.0), scale=False).mode == "I"
    with pytest.raises(TypeError, match="expected a path or a file of bytes, got int"):
        utils.load_img(3)
    with pytest.raises(ValueError, match="color_mode must be"):
        utils.load_img(path, color_mode="bgr")
    with pytest.raises(ValueError, match=r"interpolation must be one of nearest, box"):
        utils.load_img(path, target_size=(2, 2), interpolation="cubic")
    with pytest.raises(FileNotFoundError):
        utils.load_img(path.with_name("b.png"))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_save_img(tmp_path: Path, suffix: str) -> None:
    y, x = np.mgrid[0:16, 0:24]
    smooth = np.stack([x * 10, y * 15, x + y], -1)
    utils.save_img(tmp_path / f"a.{suffix}", smooth, scale=False)
    found = read_image(tmp_path / f"a.{suffix}").astype(int)
    # JPEG at quality 75 quantizes by up to 14 for the slow waves of a ramp.
    assert np.abs(found - smooth).max() <= (14 if suffix == "jpg" else 0)
    file = io.BytesIO()
    utils.save_img(file, smooth, file_format=suffix, scale=False)
    assert read_image(io.BytesIO(file.getvalue())).shape == smooth.shape


def test_save_img_without_alpha_and_without_a_format(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="does not support RGBA"):
        utils.save_img(tmp_path / "a.jpg", np.ones((8, 8, 4)))
    assert read_image(tmp_path / "a.jpg").shape == (8, 8, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        utils.save_img(tmp_path / "b.jpg", np.ones((8, 8, 3)), quality=30)
    with pytest.raises((ValueError, KeyError), match=r"xyz|XYZ"):
        utils.save_img(tmp_path / "a.xyz", np.ones((8, 8, 3)))


@pytest.mark.parametrize(("size", "part"), [((4, 4), np.s_[:, 1:7]), ((6, 2), np.s_[:, 3:5]), ((2, 6), np.s_[1:4, :])])
def test_smart_resize_takes_the_middle(size: tuple[int, int], part: Any) -> None:
    x = COLOURS.astype(np.float32)
    middle = x[part]
    found = older.smart_resize(x, middle.shape[:2])
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, middle)
    assert older.smart_resize(np.stack([x, x]), size).shape == (2, *size, 3)
    assert older.smart_resize(x.transpose(2, 0, 1), size, data_format="channels_first").shape == (3, *size)
    assert older.load_img is utils.load_img
