import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "container: builds and runs the image in a chroot; only with -m container")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without `-m`, these are left out: they take minutes and need root."""
    if config.getoption("-m"):
        return
    items[:] = [item for item in items if not item.get_closest_marker("container")]
