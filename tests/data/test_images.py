"""Images of every kind become upright RGB, or are refused in one line."""

import io

import numpy as np
import pytest
from PIL import Image

from rnn_hub.data.images import read_image
from rnn_hub.errors import RnnHubError


def save(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_what_is_transparent_becomes_white():
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    assert [read_image(save(image, "PNG")).getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]
    palette = save(Image.new("P", (1, 1), 0), "GIF", transparency=0)
    assert read_image(palette).getpixel((0, 0)) == (255, 255, 255)


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("blue", "red", "green")]
    animated = save(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_image(animated).getpixel((1, 1)) == (0, 0, 255)


def test_a_photograph_is_turned_as_its_camera_says():
    image = Image.new("RGB", (4, 2), "white")
    image.paste((255, 0, 0), (0, 0, 1, 2))
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    turned = read_image(save(image, "PNG", exif=exif))
    assert turned.size == (2, 4)
    assert turned.getpixel((0, 0)) == (255, 0, 0) and turned.getpixel((0, 3)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16", "F"])
def test_every_mode_becomes_rgb(mode, tmp_path):
    grey = 255 if mode == "1" else 200
    image = Image.new("L", (3, 3), grey)
    image = Image.fromarray(np.full((3, 3), 257 * grey, dtype=np.uint16)) if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / "image.tiff")
    read = read_image(tmp_path / "image.tiff")
    assert read.mode == "RGB" and read.size == (3, 3)
    assert np.allclose(read, grey, atol=4)


def test_one_pixel_is_an_image_and_an_array_too():
    assert read_image(save(Image.new("RGB", (1, 1), "red"), "JPEG")).size == (1, 1)
    assert read_image(np.zeros((5, 4), dtype=np.uint8)).size == (4, 5)
    assert read_image({"bytes": save(Image.new("RGB", (2, 3)), "PNG"), "path": None}).size == (2, 3)


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size():
    large = save(Image.new("RGB", (4000, 3000), "green"), "JPEG")
    assert read_image(large).size == (4000, 3000)
    assert read_image(large, size=224).size == (500, 375)


def test_what_is_no_image_is_refused_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    whole = save(Image.effect_noise((300, 300), 80).convert("RGB"), "JPEG")
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    for name, reason in [("text.jpg", "is no image"), ("empty.png", "is no image"), ("half.jpg", "is damaged")]:
        with pytest.raises(RnnHubError, match=f"{name}' {reason}"):
            read_image(tmp_path / name)
    with pytest.raises(RnnHubError, match="No such file"):
        read_image(str(tmp_path / "absent.jpg"))
    with pytest.raises(RnnHubError, match="cannot read .*directory"):
        read_image(tmp_path)
    with pytest.raises(RnnHubError, match="not int"):
        read_image(3)
    with pytest.raises(RnnHubError, match=r"of bytes and .* not float64 \(2, 2\)"):
        read_image(np.zeros((2, 2)))
    with pytest.raises(RnnHubError, match="holds nothing"):
        read_image(np.zeros((0, 2), dtype=np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    Image.new("1", (20_000, 10_000)).save(tmp_path / "huge.png")
    with pytest.raises(RnnHubError, match="20000 x 10000, more than 178956970 pixels: scale it down"):
        read_image(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000_000)
    with pytest.raises(RnnHubError, match="pixels: scale it down"):
        read_image(tmp_path / "huge.png")
