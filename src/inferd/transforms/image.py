"""Images before the model: ``decode_image``, ``resize`` and ``center_crop``.

Each works on one example, because images of one batch differ in size. Encoded images come from
strangers: only listed formats are opened, the pixel count is checked on the header before anything
is decoded, and whatever the decoder raises becomes ``InvalidInput``.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inferd.core.errors import InvalidInput, MissingExtra
from inferd.core.tensor import BYTES, UINT8
from inferd.transforms.draft import BATCH as BATCH_AXIS
from inferd.transforms.draft import Axis, Draft
from inferd.transforms.encoded import element, plain
from inferd.transforms.example import IMAGE, png, size_of
from inferd.transforms.operation import (
    ITEM,
    PREPROCESS,
    Context,
    EachInput,
    Kernel,
    Operation,
    Transform,
)
from inferd.transforms.parameter import POSITIVE, SIZE, Args, Parameter, StepError, choice
from inferd.transforms.resample import FILTERS, Resizer

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM", b"GIF8")
CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}
MAX_PIXELS = 50_000_000
"""Above every phone camera's default and about 150 MB of RGB; a decoded image is held whole."""


MAX_SCANS, MAX_SEGMENTS = 64, 4096
"""Of a JPEG file: a scan of some bytes goes over the whole image. Progressive ones have a dozen."""

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_EMPTY, _END, _SCAN = b"\x01\xd8", 0xD9, 0xDA


def load_pillow(what: str) -> Any:
    """Return the ``PIL.Image`` module. Raises ``MissingExtra``."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingExtra("pillow", "image", what=what) from None
    return Image, ImageOps


@dataclass(slots=True)
class Decode:
    """An encoded image becomes UINT8 [height, width, channels], upright."""

    mode: str
    max_pixels: int
    pillow: Any = None

    def fits(self, wanted: Draft) -> bool:
        """Fits what may be an image: three axes besides the batch, or what hides them."""
        return wanted.dtype is not BYTES and (wanted.axes is None or len(wanted.axes) == 4)

    def backward(self, wanted: Draft) -> Draft:
        """One encoded image per example."""
        _check_image(wanted)
        high, wide = (
            (size_of(a, IMAGE) for a in wanted.axes[1:3]) if wanted.axes else (IMAGE, IMAGE)
        )
        # an example larger than any model's input would only cost time
        sample = png(high, wide) if high * wide <= self.max_pixels else None
        return Draft(wanted.name, BYTES, (BATCH_AXIS,), "image", sample=sample)

    def forward(self, given: Draft) -> Draft:
        """The size is the client's."""
        own = (given.name, 0)
        axes = (BATCH_AXIS, Axis(origin=own), Axis(origin=own), Axis(CHANNELS[self.mode]))
        return Draft(given.name, UINT8, axes)

    def kernel(self, _given: Draft, _result: Draft) -> Kernel:
        """Import the decoder now, so that a missing one is found when the model is loaded."""
        self.pillow = load_pillow("decode_image")
        return lambda x: self.decode(element(x, "image"))

    def decode(self, data: bytes) -> np.ndarray:
        """Decode one image. Raises ``InvalidInput`` for everything that is none."""
        try:
            return self._decode(plain(data, MAGIC))
        except (InvalidInput, MemoryError):
            raise
        except Exception as error:
            reason = str(error).split("<", 1)[0].strip() or type(error).__name__
            raise InvalidInput(f"the image cannot be decoded: {reason}") from None

    def _decode(self, data: bytes) -> np.ndarray:
        images, ops = self.pillow
        if not data.startswith(MAGIC):
            raise InvalidInput(
                f"these {len(data)} bytes are no image of a known format",
                help="send one of: " + ", ".join(FORMATS),
            )
        if data.startswith(b"\xff\xd8"):
            _check_scans(data)
        with images.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > self.max_pixels:
                raise InvalidInput(
                    f"the image has {width}x{height} pixels, over the {self.max_pixels} taken"
                )
            upright = ops.exif_transpose(image)
            pixels = np.asarray(_in_mode(images, upright, self.mode), np.uint8)
        # always three axes, so that the steps after need not know the mode
        return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _check_scans(data: bytes) -> None:
    """Refuse a JPEG file that would take long for its size."""
    at, scans = 2, 0
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        kind = _END if found is None else found[1][0]
        if found is None or kind == _END:
            return
        scans += kind == _SCAN
        if scans > MAX_SCANS:
            raise InvalidInput(f"the image has more than {MAX_SCANS} scans")
        at = found.end()
        if kind not in _EMPTY:
            at += int.from_bytes(data[at : at + 2], "big")
    raise InvalidInput(f"the image has more than {MAX_SEGMENTS} segments")


def _in_mode(images: Any, image: Any, mode: str) -> Any:
    if image.mode.startswith("I"):
        # 16-bit greys: keep the high byte, where convert() would clip to white
        image = images.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    return image if image.mode == mode else image.convert(mode)


@dataclass(slots=True)
class Resize:
    """Images of any size become one size, or have one shortest edge."""

    size: tuple[int, int] | None
    shortest: int | None
    method: str
    max_pixels: int
    channels_first: bool

    def fits(self, wanted: Draft) -> bool:
        """Fits what may be an image."""
        return wanted.number and (wanted.axes is None or len(wanted.axes) == 4)

    def backward(self, wanted: Draft) -> Draft:
        """Height and width are free."""
        return free_size(wanted, channels_first=self.channels_first)

    def forward(self, given: Draft) -> Draft:
        """Height and width are set."""
        return sized(given, self.size, channels_first=self.channels_first)

    def kernel(self, given: Draft, _result: Draft) -> Kernel:
        """Resample with Pillow where it is exact (UINT8), else by matrix products."""
        resizer = Resizer(self.method, _pillow_or_none() if given.dtype is UINT8 else None)
        first = self.channels_first

        def apply(x: np.ndarray) -> np.ndarray:
            if x.ndim != 3 or 0 in x.shape:
                raise InvalidInput(f"an array of shape {list(x.shape)} is no image")
            image = np.moveaxis(x, 0, -1) if first else x
            out = resizer(image, *self._target(*image.shape[:2]))
            return np.moveaxis(out, -1, 0) if first else out

        return apply

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if self.size is not None:
            return self.size
        short = self.shortest or 1
        scale = short / min(height, width)
        target = max(short, round(height * scale)), max(short, round(width * scale))
        if target[0] * target[1] > self.max_pixels:
            raise InvalidInput(
                f"an image of {width}x{height} would become {target[1]}x{target[0]}, over the "
                f"{self.max_pixels} pixels taken"
            )
        return target


def _pillow_or_none() -> Any:
    try:
        return load_pillow("resize")[0]
    except MissingExtra:
        return None


@dataclass(slots=True)
class CenterCrop:
    """The middle of an image."""

    size: tuple[int, int]
    channels_first: bool

    def fits(self, wanted: Draft) -> bool:
        """Fits what may be an image."""
        return wanted.dtype is not BYTES and (wanted.axes is None or len(wanted.axes) == 4)

    def backward(self, wanted: Draft) -> Draft:
        """Height and width are free, but not smaller."""
        return free_size(wanted, channels_first=self.channels_first, hints=self.size)

    def forward(self, given: Draft) -> Draft:
        """Height and width are set; what is known to be smaller cannot be cropped."""
        at = 2 if self.channels_first else 1
        result = sized(given, self.size, channels_first=self.channels_first)
        for have, need in zip(given.shape[at : at + 2], self.size, strict=True):
            if 0 <= have < need:
                raise StepError(f"{given.text()} is smaller than the crop {list(self.size)}")
        return result

    def kernel(self, given: Draft, result: Draft) -> Kernel | None:
        """A view."""
        at = 1 if self.channels_first else 0
        high, wide = self.size
        if given.shape == result.shape:
            return None

        def apply(x: np.ndarray) -> np.ndarray:
            if x.ndim != 3:
                raise InvalidInput(f"an array of shape {list(x.shape)} is no image")
            height, width = x.shape[at : at + 2]
            if height < high or width < wide:
                raise InvalidInput(
                    f"the image is {height}x{width}, smaller than the crop of {high}x{wide}"
                )
            # rounded as torchvision does, for models trained with it
            top, left = round((height - high) / 2), round((width - wide) / 2)
            rows, columns = slice(top, top + high), slice(left, left + wide)
            return x[:, rows, columns] if at else x[rows, columns]

        return apply


def _check_image(wanted: Draft) -> None:
    """Refuse to give what cannot be a batch of images."""
    if wanted.axes is not None and len(wanted.axes) != 4:
        raise StepError(
            f"images have three axes, but an example of {wanted.name!r} is {wanted.text(1)}",
            help="put reshape after it, or name the input that takes images with input:",
        )


def free_size(
    wanted: Draft, *, channels_first: bool, hints: tuple[int | None, int | None] = (None, None)
) -> Draft:
    """Return ``wanted`` as an image of any size; ``hints``: a height and width that work."""
    at = 1 if channels_first else 3
    _check_image(wanted)
    channels = Axis() if wanted.axes is None else wanted.axes[at]
    size = (Axis(hint=hints[0]), Axis(hint=hints[1]))
    axes = (BATCH_AXIS, channels, *size) if channels_first else (BATCH_AXIS, *size, channels)
    return replace(wanted, axes=axes)


def sized(given: Draft, size: tuple[int, int] | None, *, channels_first: bool) -> Draft:
    """Return ``given`` with height and width set (or free but no more the client's)."""
    axes = given.known
    if len(axes) != 4 or given.dtype is BYTES:
        raise StepError(
            f"works on images, but {given.name!r} is {given.text()}",
            help="put decode_image before it, and reshape after it",
        )
    high, wide = (Axis(n) for n in size) if size else (Axis(), Axis())
    new = (axes[0], axes[1], high, wide) if channels_first else (axes[0], high, wide, axes[3])
    return replace(given, axes=new)


def _decode(args: Args, _context: Context) -> Operation:
    return EachInput(Decode(args["mode"], args["max_pixels"]), args)


def _resize(args: Args, _context: Context) -> Operation:
    if (args["size"] is None) == (args["shortest"] is None):
        raise StepError("give size or shortest, one of them")
    size = args["size"]
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        raise StepError(f"size: {size[0]}x{size[1]} is over {MAX_PIXELS} pixels")
    first = args["layout"] == "CHW"
    return EachInput(Resize(size, args["shortest"], args["method"], MAX_PIXELS, first), args)


def _center_crop(args: Args, _context: Context) -> Operation:
    return EachInput(CenterCrop(args["size"], args["layout"] == "CHW"), args)


_LAYOUT = Parameter("layout", choice("HWC", "CHW"), "the order of the image's axes here", "HWC")

TRANSFORMS = (
    Transform(
        "decode_image", PREPROCESS, ITEM,
        "Decode a PNG, JPEG, WebP, BMP or GIF (its first frame) into UINT8 [height, width, "
        "channels], turned upright. In JSON the image is base64. Needs the extra `image`.",
        _decode,
        "decode_image: RGB",
        "One encoded image (BYTES, content `image`) per example.",
        (
            Parameter("mode", choice("RGB", "L", "RGBA"), "colours, or `L` for grey", "RGB"),
            Parameter("max_pixels", POSITIVE, "larger images are refused undecoded", MAX_PIXELS),
        ),
        ("mode",),
    ),
    Transform(
        "resize", PREPROCESS, ITEM,
        "Give an image a size, or make its shortest edge so long. Reduces without aliasing.",
        _resize,
        "resize: {shortest: 256, method: bicubic}",
        "Height and width are free.",
        (
            Parameter("size", SIZE, "the size; one number makes a square"),
            Parameter("shortest", POSITIVE, "the length of the shortest edge, proportions kept"),
            Parameter("method", choice(*FILTERS), "how pixels are mixed", "bilinear"),
            _LAYOUT,
        ),
        ("size",),
    ),
    Transform(
        "center_crop", PREPROCESS, ITEM,
        "Take the middle of an image. A smaller image is refused.",
        _center_crop,
        "center_crop: 224",
        "Height and width are free.",
        (
            Parameter("size", SIZE, "the size; one number makes a square", required=True),
            _LAYOUT,
        ),
        ("size",),
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
