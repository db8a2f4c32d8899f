"""Test runs of their own, as a user's project has them."""

import pytest

IMAGE = """
    import pytest

    @pytest.fixture(scope="session")
    def busybox(engine):
        if not engine.images.exists("busybox"):
            engine.images.import_(open({path!r}, "rb").read(), "busybox", changes=['CMD ["sh"]'])
        return "busybox"
"""


@pytest.fixture(scope="session")
def image_path(tmp_path_factory, busybox_tar):
    path = tmp_path_factory.mktemp("image") / "busybox.tar"
    path.write_bytes(busybox_tar)
    return str(path)


@pytest.fixture
def project(pytester, image_path, monkeypatch, leaves_no_trace):
    """A project whose tests may ask for the image `busybox`."""
    for name in ("WHERRY_HOST", "DOCKER_HOST", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeconftest(IMAGE.format(path=image_path))
    return pytester
