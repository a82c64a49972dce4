"""Decoding of what clients send: bounded memory, once a request, and a word on when to come again."""

import io
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from PIL import Image

from callers import LOOPBACK, encoded, frame, person, search, send
from unveil.server.app import create_app
from unveil.server.search import decoding
from unveil.server.search.decoding import Decoder
from unveil.server.settings import Limits


def test_an_image_with_ten_boxes_on_both_sides_is_decoded_once(service_with, gallery, monkeypatch):
    client = TestClient(create_app(service_with()), base_url=LOOPBACK)
    wide, boxes = frame(0, 1, 2)
    picture = send(client, wide)
    calls, read = [], decoding.read_image
    monkeypatch.setattr(decoding, "read_image", lambda *a, **k: calls.append(a) or read(*a, **k))
    places = [{"image": picture, "box": {**box, "width": box["width"] - n}} for box in boxes for n in range(4)]
    found = search(client, gallery, *places[:10], negatives=places[10:])
    assert len(calls) == 1 and found["hits"]
    images = [send(client, person(n)) for n in range(3)]
    calls.clear()
    search(client, gallery, *images)
    assert len(calls) == 3


def test_images_wait_for_their_turn_and_too_many_are_told_to_come_again(monkeypatch):
    decoder = Decoder(Limits(pixels=128 * 64, decoding=128 * 64, decode_seconds=0.3))
    data = encoded(person(0))
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with decoder.decoded(data):
            entered.set()
            assert leave.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(60)
    with pytest.raises(HTTPException) as refused, decoder.decoded(data):
        pass
    assert refused.value.status_code == 503 and int(refused.value.headers["Retry-After"]) > 0
    patient = Decoder(Limits(pixels=128 * 64, decoding=128 * 64, decode_seconds=60))
    leave.set()
    holder.join()
    for one in (decoder, patient):
        with one.decoded(data) as image:
            assert image.shape == (128, 64, 3)


def test_a_refused_request_says_when_to_come_again(service_with, gallery):
    service = service_with(limits=Limits(rate=0, decode_seconds=0.1))
    client = TestClient(create_app(service), base_url=LOOPBACK)
    with service.decoder._news:
        service.decoder._free = 0
    refused = client.post("/api/v1/images", content=encoded(person(0)))
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
    assert client.get("/healthz").status_code == 200


def test_a_jpeg_is_decoded_no_larger_than_is_needed_and_keeps_its_size(service_with):
    service = service_with()
    buffer = io.BytesIO()
    Image.fromarray(np.full((1200, 1601, 3), 90, np.uint8)).save(buffer, "JPEG")
    with service.decoder.decoded(buffer.getvalue(), longest_side=300) as image:
        assert max(image.shape) == 401  # a quarter, the smallest that has 300
    assert service.decoder.checked_size(buffer.getvalue()) == (1601, 1200)
    turned = Image.new("RGB", (101, 100))
    exif = turned.getexif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", exif=exif)
    assert service.decoder.checked_size(buffer.getvalue()) == (100, 101)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize(
    ("mode", "what", "most"),
    [*((mode, "read_image(data)", 9.5) for mode in ("RGBA", "RGB", "I;16", "P")), ("RGBA", "decoded_size(data)", 5)],
)
def test_an_image_takes_no_more_than_nine_bytes_a_pixel_and_its_check_four(tmp_path, mode, what, most):
    side = 6000
    Image.new(mode, (side, side)).save(tmp_path / "x.png", compress_level=1)
    code = f"""
        import sys
        from pathlib import Path
        import numpy as np
        from unveil.data.images import decoded_size, read_image

        def kilobytes(field):
            lines = Path("/proc/self/status").read_text().splitlines()
            return int(next(line.split()[1] for line in lines if line.startswith(field)))

        Path("/proc/self/clear_refs").write_text("5")  # the peak of a process begins with that of its parent
        before = kilobytes("VmRSS")
        data = Path(sys.argv[1]).read_bytes()
        found = {what}
        print((kilobytes("VmHWM") - before) * 1024 / {side * side})
    """
    start = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "x.png")]
    told = subprocess.run(start, capture_output=True, text=True, check=True)
    assert 3 <= float(told.stdout) < most


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of memory from /proc")
def test_uploads_that_wait_for_their_turn_hold_no_pixels(tmp_path):
    side = 4000
    Image.new("RGBA", (side, side)).save(tmp_path / "x.png", compress_level=1)
    code = f"""
        import sys
        from concurrent.futures import ThreadPoolExecutor
        from pathlib import Path
        from unveil.cli.allocator import return_large_blocks
        from unveil.server.search.decoding import Decoder
        from unveil.server.settings import Limits

        if not return_large_blocks():
            print(4)
            sys.exit()

        def kilobytes(field):
            lines = Path("/proc/self/status").read_text().splitlines()
            return int(next(line.split()[1] for line in lines if line.startswith(field)))

        data, pixels = Path(sys.argv[1]).read_bytes(), {side * side}
        decoder = Decoder(Limits(pixels=pixels, decoding=pixels, decode_seconds=60))
        Path("/proc/self/clear_refs").write_text("5")
        before = kilobytes("VmRSS")
        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(decoder.checked_size, [data] * 6)) == {{({side}, {side})}}
        print((kilobytes("VmHWM") - before) * 1024 / pixels)
    """
    start = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "x.png")]
    told = subprocess.run(start, capture_output=True, text=True, check=True)
    assert 3 <= float(told.stdout) < 9
