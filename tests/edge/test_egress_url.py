"""The proxy of a listed instance: what is one, and what stands there and is none."""

from __future__ import annotations

import pytest

from wa_worker.edge.egress_url import egress_from
from wa_worker.edge.wire import instances_from, polled_from
from wa_worker.models import EgressProxy, InstanceId, Unusable

SHOP = InstanceId("shop")

GOOD = {
    "http://10.0.0.5:3128": "http://10.0.0.5:3128",
    "http://proxy.example": "http://proxy.example:80",
    "HTTPS://proxy.example/": "https://proxy.example:443",
    "socks5://127.0.0.1": "socks5://127.0.0.1:1080",
    "socks5h://u:p@proxy.example:9": "socks5://u:p@proxy.example:9",
    "http://[::1]:3128": "http://[::1]:3128",
    "http://user-1:p%40ss%2f@proxy:1": "http://user-1:p%40ss%2F@proxy:1",
    "http://user@proxy:1": "http://user:@proxy:1",
    "http://us%C3%A9r:%E9@proxy:1": "http://us%C3%A9r:%E9@proxy:1",
}
BAD = [
    *("", " ", "proxy:3128", "//proxy", "ftp://proxy", "socks4://proxy", "http://", "http://:80", "http://u:p@"),
    *("http://proxy:0", "http://proxy:65536", "http://proxy:x", "http://pro xy", "http://proxy\n", "http://pröxy"),
    *("http://proxy/path", "http://proxy?x=1", "http://proxy#", "http://u:p/w@proxy", "http://u:p#w@proxy:1"),
    *(
        "http://u:100%@proxy",
        "http://@proxy",
        "http://:p@proxy",
        "http://a%3Ab:p@proxy",
        "http://[::1",
        "http://[v1.x]",
    ),
    *("socks5://u@proxy", f"socks5://{'u' * 256}:p@proxy", f"http://proxy/{'x' * 2048}", "http://a..b/@c"),
    *(7, True, ["http://proxy"], {"url": "http://proxy"}),
]


@pytest.mark.parametrize(("written", "read"), GOOD.items())
def test_what_is_a_proxy(written: str, read: str) -> None:
    proxy = egress_from(written)
    assert isinstance(proxy, EgressProxy)
    assert proxy.url.reveal() == read
    assert egress_from(read) == proxy, "as it is remembered"


@pytest.mark.parametrize("written", BAD)
def test_what_is_none_is_not_no_proxy(written: object) -> None:
    assert isinstance(egress_from(written), Unusable)


def test_only_null_is_no_proxy() -> None:
    assert egress_from(None) is None


def test_no_credentials_are_shown() -> None:
    shown = [repr(egress_from("socks5://customer:hidden@proxy:9"))]
    shown += [str(egress_from(f"{scheme}://customer:hidden@proxy:x")) for scheme in ("http", "ftp")]
    shown += [repr(instances_from([{"id": "shop", "proxy": "http://customer:hidden@proxy"}]))]
    for text in shown:
        assert "hidden" not in text
        assert "customer" not in text


def test_of_the_instances_that_are_listed() -> None:
    rows = [{"id": "shop", "proxy": "http://proxy"}, {"id": "a", "proxy": None}, {"id": "b", "proxy": 7}, {"id": "c"}]
    for read in (instances_from(rows), polled_from({"instances": rows, "messages": []}).instances):
        assert read.good == ("shop", "a", "b", "c")
        assert not read.bad, "an instance with a proxy that is none is an instance"
        assert isinstance(read.egress[SHOP], EgressProxy)
        assert read.egress[InstanceId("a")] is None
        assert isinstance(read.egress[InstanceId("b")], Unusable)
        assert "c" not in read.egress, "who says nothing of it takes nothing away"
