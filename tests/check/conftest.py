from __future__ import annotations

from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
