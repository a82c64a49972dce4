"""Fetching from a real server that cuts, redirects, refuses, lies and stalls."""

from __future__ import annotations

import hashlib
import multiprocessing
import resource
import ssl
import threading

import pytest
import trustme

from file_server import serve_files
from unveil.errors import DownloadError, OfflineError
from unveil.models.catalogue.digest import Digest
from unveil.models.catalogue.download import fetch

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WHOLE = Digest("sha256", SHA256)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("UNVEIL_OFFLINE", "UNVEIL_MIRROR", *PROXIES, *(name.upper() for name in PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with serve_files() as offer:
        offer.files["/w.pth"] = CONTENT
        yield offer


@pytest.fixture
def authority(monkeypatch, tmp_path_factory):
    ca = trustme.CA()
    path = str(tmp_path_factory.mktemp("authority") / "ca.pem")
    ca.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", path)
    return ca


@pytest.fixture
def encrypted(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serve_files(context) as offer:
        offer.files["/w.pth"] = CONTENT
        yield offer


def get(server, target, **options):
    options = {"digest": WHOLE, "pause": 0.0, "timeout": 10.0} | options
    return fetch(f"{server.address}/w.pth", target, **options)


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_file_comes_whole_with_progress_and_only_once(server, tmp_path):
    seen = []
    target = tmp_path / "new" / "w.pth"
    assert get(server, target, size=len(CONTENT), progress=lambda *n: seen.append(n)) == target
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    get(server, target)
    assert len(server.requests) == 1
    assert leftovers(target.parent) == ["w.pth"]


@pytest.mark.parametrize(
    "digest",
    [Digest("sha384", hashlib.sha384(CONTENT).hexdigest()), Digest.in_name(f"w-{SHA256[:8]}.pth")],
    ids=["sha384", "prefix in the name"],
)
def test_other_digests_are_checked(server, tmp_path, digest):
    get(server, tmp_path / "w.pth", digest=digest)
    server.files["/w.pth"] = CONTENT[:-1] + b"?"
    with pytest.raises(DownloadError, match=f"expected a file with {digest}"):
        get(server, tmp_path / "other.pth", digest=digest)
    assert leftovers(tmp_path) == ["w.pth"]


def test_a_damaged_file_that_is_here_is_replaced(server, tmp_path):
    (tmp_path / "w.pth").write_bytes(CONTENT[:100])
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT


def test_a_cut_transfer_resumes_within_the_call(server, tmp_path):
    server.cuts = [100_000, 50_000]
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT
    assert [headers.get("Range") for _, headers in server.requests] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_cut_transfer_resumes_in_a_later_call(server, tmp_path):
    server.cuts = [100_000]
    with pytest.raises(DownloadError, match=r"ended after 100000 of 512000 bytes.*resumes"):
        get(server, tmp_path / "w.pth", attempts=1)
    assert not (tmp_path / "w.pth").exists()
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT
    assert server.requests[-1][1]["Range"] == "bytes=100000-"
    assert leftovers(tmp_path) == ["w.pth"]


def test_a_changed_file_starts_anew(server, tmp_path):
    server.files["/w.pth"] = CONTENT[::-1]
    server.cuts = [100_000]
    with pytest.raises(DownloadError):
        get(server, tmp_path / "w.pth", attempts=1)
    server.files["/w.pth"] = CONTENT
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT


def test_the_beginning_of_another_address_is_not_used(server, tmp_path):
    server.files["/other.pth"] = CONTENT[::-1]
    server.cuts = [100_000]
    with pytest.raises(DownloadError):
        fetch(f"{server.address}/other.pth", tmp_path / "w.pth", digest=WHOLE, attempts=1)
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT
    assert "Range" not in server.requests[-1][1]


def test_a_server_without_ranges_is_asked_for_the_whole(server, tmp_path):
    server.ranges = False
    server.cuts = [100_000]
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT


def test_a_damaged_beginning_is_fetched_anew(server, tmp_path):
    server.cuts = [100_000]
    with pytest.raises(DownloadError):
        get(server, tmp_path / "w.pth", attempts=1)
    (tmp_path / ".w.pth.part").write_bytes(b"?" * 100_000)
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT
    assert [("Range" in headers) for _, headers in server.requests] == [False, True, False]


def test_a_beginning_longer_than_the_file_is_fetched_anew(server, tmp_path):
    server.cuts = [100_000]
    with pytest.raises(DownloadError):
        get(server, tmp_path / "w.pth", attempts=1)
    (tmp_path / ".w.pth.part").write_bytes(CONTENT + b"more")
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT
    assert [("Range" in headers) for _, headers in server.requests] == [False, True, False]


def test_a_beginning_that_is_the_whole_file_is_taken(server, tmp_path):
    server.cuts = [100_000]
    with pytest.raises(DownloadError):
        get(server, tmp_path / "w.pth", attempts=1)
    (tmp_path / ".w.pth.part").write_bytes(CONTENT)
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT
    assert len(server.requests) == 2
    assert leftovers(tmp_path) == ["w.pth"]


def test_a_reply_without_a_length_is_checked_all_the_same(server, tmp_path):
    server.lengths = False
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT
    server.cuts = [1000, 1000]
    with pytest.raises(DownloadError, match=r"ended after 1000 of 512000"):
        get(server, tmp_path / "sized.pth", size=len(CONTENT), attempts=1)
    with pytest.raises(DownloadError, match="expected a file with"):
        get(server, tmp_path / "unsized.pth")


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_final(server, tmp_path, status):
    server.statuses = [status] * 9
    with pytest.raises(DownloadError, match=rf"/w\.pth: the server answered {status}"):
        get(server, tmp_path / "w.pth")
    assert len(server.requests) == 1
    assert leftovers(tmp_path) == []


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.statuses = [503, 429]
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT
    server.statuses = [500] * 3
    with pytest.raises(DownloadError, match=r"500.*3 attempts"):
        get(server, tmp_path / "again.pth", attempts=3)


def test_encrypted_files_come_and_redirects_are_followed(encrypted, tmp_path):
    encrypted.redirects["/old.pth"] = f"{encrypted.address}/w.pth"
    fetch(f"{encrypted.address}/old.pth", tmp_path / "w.pth", digest=WHOLE)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


def test_a_redirect_to_plain_http_is_refused(encrypted, server, tmp_path):
    encrypted.redirects["/w.pth"] = f"{server.address}/w.pth"
    with pytest.raises(DownloadError, match=rf"redirects to {server.address}/w\.pth, which is not encrypted"):
        get(encrypted, tmp_path / "w.pth")
    assert not server.requests
    assert leftovers(tmp_path) == []


def test_an_untrusted_certificate_is_refused(encrypted, monkeypatch, tmp_path):
    other = trustme.CA()
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    with pytest.raises(DownloadError, match=r"certificate is not trusted.*SSL_CERT_FILE"):
        get(encrypted, tmp_path / "w.pth")


def test_more_than_fits_the_disk_is_refused_before_it_is_sent(server, tmp_path):
    server.claimed["/w.pth"] = 1 << 50
    with pytest.raises(DownloadError, match=r"no space for .*MB are free.*UNVEIL_CACHE"):
        get(server, tmp_path / "w.pth", max_size=1 << 60)
    assert leftovers(tmp_path) == []


def _get_in_little_space(address, target, queue):
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        fetch(address, target, digest=WHOLE)
    except DownloadError as e:
        queue.put(str(e))


def test_a_disk_that_fills_up_is_one_error_and_leaves_nothing(server, tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_get_in_little_space, args=(f"{server.address}/w.pth", tmp_path / "w.pth", queue))
    child.start()
    assert "no space for" in queue.get(timeout=30)
    child.join()
    assert leftovers(tmp_path) == []


def test_another_size_than_stated_is_refused(server, tmp_path):
    with pytest.raises(DownloadError, match="expected a file of 5 bytes, the server offers 512000"):
        get(server, tmp_path / "w.pth", size=5)
    with pytest.raises(DownloadError, match="512000 bytes are more than the 1000 that are allowed"):
        get(server, tmp_path / "w.pth", max_size=1000)
    server.lengths = False
    with pytest.raises(DownloadError, match="sends more than the 1000 bytes"):
        get(server, tmp_path / "w.pth", max_size=1000)
    assert leftovers(tmp_path) == []


def test_a_server_that_stalls_is_cut_and_resumed(server, tmp_path):
    server.stall.clear()
    with pytest.raises(DownloadError, match=r"timed out.*1 attempts"):
        get(server, tmp_path / "w.pth", timeout=0.2, attempts=1)
    server.stall.set()
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT
    assert server.requests[-1][1]["Range"] == f"bytes={len(CONTENT) // 2}-"


def test_no_connection_says_what_to_put_where(tmp_path):
    with serve_files() as gone:
        address = f"{gone.address}/w.pth"
    with pytest.raises(OfflineError) as found:
        fetch(address, tmp_path / "w.pth", digest=WHOLE, size=1_500_000, licence="MIT", pause=0.0, attempts=2)
    assert str(found.value).startswith("no connection to 127.0.0.1 (")
    hint = f"get {address} (1.5 MB) (licence: MIT) and put it at {tmp_path / 'w.pth'}"
    assert str(found.value).endswith(hint)


def test_offline_asks_nobody(server, monkeypatch, tmp_path):
    monkeypatch.setenv("UNVEIL_OFFLINE", "1")
    with pytest.raises(OfflineError, match=rf"UNVEIL_OFFLINE is set: get {server.address}/w\.pth .* put it at"):
        get(server, tmp_path / "w.pth")
    assert not server.requests
    (tmp_path / "w.pth").write_bytes(CONTENT)
    assert get(server, tmp_path / "w.pth").read_bytes() == CONTENT
    monkeypatch.setenv("UNVEIL_OFFLINE", "0")
    get(server, tmp_path / "other.pth")


def test_a_mirror_is_asked_in_place_of_the_publisher(server, monkeypatch, tmp_path):
    monkeypatch.setenv("UNVEIL_MIRROR", f"{server.address}/copies/")
    server.files["/copies/example.org/models/w.pth"] = CONTENT
    fetch("https://example.org/models/w.pth", tmp_path / "w.pth", digest=WHOLE)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT
    monkeypatch.setenv("UNVEIL_MIRROR", "/mnt/copies")
    with pytest.raises(DownloadError, match=r"UNVEIL_MIRROR: expected http\(s\)://"):
        fetch("https://example.org/models/w.pth", tmp_path / "other.pth", digest=WHOLE)


def test_the_proxy_of_the_environment_is_used(server, monkeypatch, tmp_path):
    monkeypatch.setenv("http_proxy", server.address)
    fetch("http://example.org/w.pth", tmp_path / "w.pth", digest=WHOLE)
    assert server.requests[0][0] == "http://example.org/w.pth"


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://example.org/w", "https://me:secret@example.org/w"])
def test_only_http_addresses_without_a_password_are_fetched(address, tmp_path):
    with pytest.raises(DownloadError, match="expected http"):
        fetch(address, tmp_path / "w.pth", digest=WHOLE)


def test_two_that_want_the_same_fetch_it_once(server, tmp_path):
    server.stall.clear()
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=get, args=(server, tmp_path / "w.pth")) for _ in range(2)]
    for child in children:
        child.start()
    threading.Timer(0.5, server.stall.set).start()
    for child in children:
        child.join(timeout=30)
    assert [child.exitcode for child in children] == [0, 0]
    assert (tmp_path / "w.pth").read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [("md5:" + "0" * 32, "sha256 or sha384"), ("sha256:1234567", "8 to 64"), ("sha256:" + "g" * 64, "hexadecimal")],
)
def test_a_digest_that_is_none_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        Digest.parse(text)


def test_digests_in_names():
    assert Digest.in_name("resnet18-f37072fd.pth") == Digest("sha256", "f37072fd")
    assert str(Digest.parse("SHA256:ABCDEF12".replace("SHA", "sha"))) == "sha256:abcdef12"
    with pytest.raises(ValueError, match="no digest in its name"):
        Digest.in_name("resnet18.pth")
