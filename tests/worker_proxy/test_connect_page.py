"""connect.html in a real browser, against the real policies and calls: signing in, linking, and how a number is.

Real: the page with supabase-js, PostgreSQL, and in the last test the Edge Function, the worker and a simulated phone.
Imitated: Auth, Realtime and PostgREST (gateway.py, rest.py).
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import attrs
import psycopg
import pytest
import qrcode
import trio

from tests.dev.console.page import ENTER, Page
from tests.e2e.world import SECRET, World
from tests.worker_proxy import tools
from tests.worker_proxy.backend import EdgeProxy
from tests.worker_proxy.gateway import CDN, PASSWORD, RING, Gateway, open_gateway
from tests.worker_proxy.postgres import Postgres
from tests.worker_proxy.processes import Server, open_function, open_rest
from tests.worker_proxy.tenants import ANA, BEN, Customers
from wa_worker.dev.simulator import open_simulator
from wa_worker.dev.world.qr import read_png_data_url

pytestmark = pytest.mark.worker_proxy

AXE = "node_modules/axe-core/axe.min.js"


@attrs.frozen
class Connect:
    page: Page
    gateway: Gateway
    customers: Customers

    def open(self, *languages: str, width: int = 1000, dark: bool = False) -> None:
        driver = self.page.driver
        self.page.look(width, 800, dark=dark)
        agent = driver.execute_script("return navigator.userAgent")
        override = {"userAgent": agent, "acceptLanguage": ",".join(languages or ("en-US",))}
        driver.execute_cdp_cmd("Emulation.setUserAgentOverride", override)
        self.page.complaints()  # those of the last test
        driver.get(f"{self.gateway.url}/connect/connect.html")

    def sign_in(self, email: str = "ana@example.com", password: str = PASSWORD) -> None:
        self.page.wait(lambda: self.shown("#email"))
        self.page.type("#email", email)
        self.page.type("#password", password + ENTER)

    def signed_in(self) -> None:
        self.open()
        self.sign_in()
        self.page.wait(lambda: self.page.text("#news").startswith("Live"))

    def shown(self, selector: str) -> bool:
        return bool(self.page.run("return document.querySelector(arguments[0])?.checkVisibility() ?? false", selector))

    def faults(self) -> list[str]:
        """What axe finds, all rules."""
        self.page.run((tools.npm_tools() / AXE).read_text("utf-8"))
        script = "const done = arguments[arguments.length - 1]; axe.run().then((found) => done(found.violations))"
        found: list[dict[str, Any]] = self.page.driver.execute_async_script(script)
        return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]


@pytest.fixture(scope="session")
def customers_rest(customers_postgres: Postgres) -> Iterator[Server]:
    with psycopg.connect(customers_postgres.dsn("supabase_admin"), autocommit=True) as db:
        db.execute(RING.encode())
    with open_rest(customers_postgres) as rest:
        yield rest


@pytest.fixture
def connect(chromium: Page, customers: Customers, customers_rest: Server, tmp_path: Path) -> Iterator[Connect]:
    if not (tools.npm_tools() / AXE).exists():
        pytest.skip("axe-core not found: run .ci/worker-proxy-services")
    chromium.pictures = tmp_path
    dsn = customers.postgres.dsn("supabase_admin")
    with open_gateway(customers_rest.url, dsn) as gateway:
        yield Connect(chromium, gateway, customers)
        unexpected = [each for each in chromium.complaints() if "the server responded with a status of 4" not in each]
        chromium.run("localStorage.clear()")
        chromium.driver.get("about:blank")
    assert unexpected == []


def _picture(code: str) -> str:
    data = io.BytesIO()
    qrcode.make(code).save(data)
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def test_the_library_is_the_one_that_the_tests_have() -> None:
    page = (tools.SOURCE / "connect.html").read_text("utf-8")
    assert CDN in page
    library = (tools.npm_tools() / "node_modules/@supabase/supabase-js/dist/umd/supabase.js").read_bytes()
    digest = base64.b64encode(hashlib.sha384(library).digest()).decode()
    assert f'integrity="sha384-{digest}"' in page


def test_each_reason_of_the_contract_and_each_error_has_words() -> None:
    contract = (tools.SOURCE.parent / "contract.md").read_text("utf-8")
    table = contract.partition("| `reason` | status |")[2].partition("\n\n")[0]
    reasons = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    assert len(reasons) > 15
    hints = set(re.findall(r"hint = '(\w+)'", (tools.SOURCE / "customers.sql").read_text("utf-8")))
    words = (tools.SOURCE / "words.js").read_text("utf-8")
    for block in words.split("const ptBR")[0], words.split("const ptBR")[1]:
        known = set(re.findall(r"^    (\w+):", block, re.MULTILINE))
        assert reasons | hints <= known


def test_who_is_wrong_is_told_so_and_a_link_tells_nothing(connect: Connect) -> None:
    connect.open("en-US")
    connect.sign_in(password="wrong")
    page = connect.page
    page.wait(lambda: page.text("#problem") == "E-mail or password is wrong.")
    page.click("#send-link")
    page.wait(lambda: page.text("#link-sent") == "If there is an account for this address, a link is on its way.")
    assert connect.gateway.mailed == ["ana@example.com"]
    assert connect.faults() == []


def test_a_number_from_its_name_to_its_end(connect: Connect) -> None:
    """With Realtime: each change is there long before the next look, which is after 30 seconds."""
    customers, page = connect.customers, connect.page
    theirs = customers.instance(BEN, "theirs")
    connect.signed_in()
    assert "No number yet" in page.text("#news")
    page.type("#new-name", "Loja <b>1</b>" + ENTER)
    page.wait(lambda: page.text(".card h2") == "Loja <b>1</b>")
    ((id_,),) = customers.rows("select id from wa_instances where tenant_id = %s", ANA)

    page.wait(lambda: len(connect.gateway.listening) == 1)
    customers.update(id_, status="CONNECTING", reason="scan", action="scan", qr_code=_picture("first"))
    page.wait(lambda: connect.shown(".scan img"))
    assert read_png_data_url(page.run("return document.querySelector('.scan img').src")) == "first"
    left = int(re.findall(r"within (\d+) s", page.text(".countdown"))[0])
    assert 50 < left <= 60
    page.wait(lambda: page.text(".countdown") != f"A new code comes within {left} s.")
    assert connect.faults() == []

    page.run("document.querySelector('.pair details').open = true")
    page.type(".pair input", "11 99999" + ENTER)
    page.wait(lambda: "country code" in page.text(".card > .problem"))
    page.run("document.querySelector('.pair input').value = ''")
    page.type(".pair input", "+55 11 99999-0001" + ENTER)
    page.wait(lambda: page.text(".code-how") == "The code is being fetched.")
    with customers.backend.db.transaction():
        customers.update(id_, pairing_code="ABCD-1234")
        customers.rows("update wa_instances set pairing_expires_at = now() + interval '160 seconds' returning 1")
    page.wait(lambda: page.text(".code") == "ABCD-1234")
    assert 150 < int(re.findall(r"for (\d+) s", page.text(".code-left"))[0]) <= 160
    assert connect.faults() == []

    before = connect.gateway.reads
    customers.update(theirs, status="CONNECTED", reason="connected")  # rings nobody here
    customers.update(id_, status="CONNECTED", reason="connected", jid="5511999990001@s.whatsapp.net")
    page.wait(lambda: page.text(".badge") == "Connected")
    assert connect.gateway.reads == before + 1
    assert page.text(".phone") == "+5511999990001"
    assert not connect.shown(".scan")
    assert not connect.shown(".pair")

    page.run("document.querySelector('.more').open = true")
    page.type(".rename input", "Loja 2" + ENTER)
    page.wait(lambda: page.text(".card h2") == "Loja 2")
    page.click(".stop")
    page.wait(lambda: page.text(".badge") == "Stopped")
    customers.update(id_, status="DISCONNECTED")
    page.wait(lambda: not connect.shown(".stop") and connect.shown(".start"))
    page.click(".remove")
    page.driver.switch_to.alert.accept()
    page.wait(lambda: page.texts(".card h2") == [])
    page.click("#sign-out")
    page.wait(lambda: connect.shown("#sign-in"))
    page.wait(lambda: not connect.gateway.listening)
    assert customers.rows("select id from wa_instances") == [(theirs,)]


def test_without_realtime_it_looks_every_few_seconds(connect: Connect) -> None:
    connect.gateway.realtime = False
    id_ = connect.customers.instance(ANA, "Loja", status="CONNECTED", reason="connected")
    connect.open()
    connect.sign_in()
    page = connect.page
    page.wait(lambda: page.text(".badge") == "Connected")
    assert page.text("#news") == "Looks every few seconds"
    connect.customers.update(id_, status="DISCONNECTED", reason="banned")
    page.wait(lambda: page.text(".badge") == "Not connected")
    errors = [each for each in page.complaints() if "WebSocket" not in each]
    assert errors == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_a_small_phone_in_portuguese_all_can_be_read(connect: Connect, *, dark: bool) -> None:
    customers, page = connect.customers, connect.page
    for reason, status in (("banned", "DISCONNECTED"), ("restricted", "CONNECTED"), ("a_word_of_later", "CONNECTING")):
        customers.instance(ANA, "Umnomemuitocompridosemespaços" * 2, status=status, reason=reason)
    customers.instance(ANA, "Código", status="CONNECTING", reason="scan", qr_code=_picture("x"), pairing_code="AB-1")
    customers.instance(ANA, "parado", enabled=False)
    customers.rows("update wa_instances set until = '2026-09-21 14:13Z' where reason = 'banned' returning 1")
    connect.open("pt-BR", "en", width=320, dark=dark)
    connect.sign_in()
    page.wait(lambda: len(page.texts(".card")) == 5)
    assert page.run("return document.documentElement.lang") == "pt-BR"
    assert page.text("h1") == "Seus números de WhatsApp"
    why = page.texts(".why")
    assert why[0].startswith("O WhatsApp baniu este número por um tempo. Não conecte de novo: espere. Até 21/09/2026")
    assert why[2:] == ["a_word_of_later", "Leia o código com o telefone.", page.texts(".why")[4]]
    page.run("for (const each of document.querySelectorAll('details')) each.open = true")
    page.wait(lambda: connect.shown(".card:nth-child(4) .scan img"))
    assert page.fits_the_screen()
    assert connect.faults() == []
    page.picture("phone")


@asynccontextmanager
async def open_world(
    connect: Connect, customers_rest: Server, folder: Path, function_folder: Path
) -> AsyncIterator[World]:
    """A worker, the Edge Function before the page's database, and simulated phones."""
    with ExitStack() as stack:
        function = stack.enter_context(open_function(function_folder, customers_rest.url, SECRET))
        proxy = EdgeProxy(function.url, SECRET, connect.customers.backend, function.lines)
        async with open_simulator() as simulator, trio.open_nursery() as nursery:
            world = World(simulator, cast(Any, proxy), folder, nursery)
            try:
                yield world
            finally:
                with trio.CancelScope(shield=True):
                    await world.close()


async def test_a_phone_types_the_code_that_the_page_shows(
    connect: Connect, customers_rest: Server, tmp_path: Path, function_folder: Path
) -> None:
    """With the phone on which the page is open, which cannot scan itself."""
    page, blocking = connect.page, trio.to_thread.run_sync
    async with open_world(connect, customers_rest, tmp_path, function_folder) as world:
        await world.start_worker()
        await blocking(connect.signed_in)
        await blocking(page.type, "#new-name", "Loja" + ENTER)
        await blocking(page.wait, lambda: connect.shown(".scan img"))
        await blocking(page.run, "document.querySelector('.pair details').open = true")
        await blocking(page.type, ".pair input", "+55 11 99999-0001" + ENTER)
        await blocking(page.wait, lambda: re.fullmatch(r"\w{4}-\w{4}", page.text(".code")) is not None)
        left = re.findall(r"for (\d+) s", page.text(".code-left"))
        assert 0 < int(left[0]) <= 180
        jid = await world.simulator.enter_code(page.text(".code"), "5511999990001")
        await blocking(page.wait, lambda: page.text(".badge") == "Connected")
        assert page.text(".phone") == "+5511999990001"
        assert not connect.shown(".pair")
        assert page.text(".code") == ""
        ((number, code),) = connect.customers.rows("select jid, pairing_code from wa_instances")
        assert number.partition("@")[0] == jid.partition("@")[0].partition(":")[0] == "5511999990001"
        assert code is None
        assert connect.faults() == []


async def test_a_phone_scans_what_the_page_shows_and_a_ban_reaches_the_page_and_a_human(
    connect: Connect, customers_rest: Server, tmp_path: Path, function_folder: Path
) -> None:
    customers, page, blocking = connect.customers, connect.page, trio.to_thread.run_sync
    async with open_world(connect, customers_rest, tmp_path, function_folder) as world:
        await world.start_worker()
        await blocking(connect.signed_in)
        await blocking(page.type, "#new-name", "Loja" + ENTER)
        await blocking(page.wait, lambda: connect.shown(".scan img"))
        picture = page.run("return document.querySelector('.scan img').src")
        with trio.fail_after(world.patience):
            jid = await world.simulator.scan(read_png_data_url(picture), "5511999990001")
        await blocking(page.wait, lambda: page.text(".badge") == "Connected")
        assert page.text(".phone") == "+5511999990001"
        assert customers.rows("select kind from wa_notices") == []

        world.simulator.bans[jid] = 3600
        await world.simulator.drop(jid)
        await blocking(page.wait, lambda: "banned this number" in page.text(".why"))
        rows = customers.rows("select kind, reason, text from wa_notices")
        assert [row[:2] for row in rows] == [("down", "banned")]
        assert rows[0][2].startswith("Loja is down: WhatsApp has banned it for a while.")
