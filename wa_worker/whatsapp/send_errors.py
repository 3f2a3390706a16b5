"""What the library's error texts mean for a send. Pure; the only place that reads them."""

from __future__ import annotations

import re

from wa_worker.errors import Failure, SendDelayed, SendError, SendRefused, SendUncertain, SessionNotOpen

NOT_CONNECTED_PAUSE = 2.0
TROUBLE_PAUSE = 10.0
RATE_PAUSE = 60.0
RESTRICTED_PAUSE = 15 * 60.0
"""463: WhatsApp limits messages to people who have not written to us; it lifts by itself, not in seconds."""

ASK_THE_GROUP = frozenset({401, 403, 405, 420})
"""Codes with which WhatsApp refuses a message to a group that it does not let the account write to, documented nowhere:
420 was seen of groups in which only admins may write, and of too many messages."""

_CODE = re.compile(r"server returned error (\d+)")
_REFUSED = {
    "no LID found for": Failure.NOT_ON_WHATSAPP,
    "can't send message to unknown server": Failure.BAD_SERVER,
    "message recipient must be a user JID": Failure.BAD_SERVER,
    "that group does not exist": Failure.NO_SUCH_GROUP,
    "you're not participating in that group": Failure.NO_SUCH_GROUP,
    "item-not-found": Failure.NO_SUCH_GROUP,
}
_NOT_CONNECTED = (
    "client is nil",
    "the store doesn't contain a device JID",
    "websocket disconnected before info query",
)
_BEFORE_THE_FRAME = ("failed to ", "can't encrypt message", "info query timed out", *_NOT_CONNECTED)


def send_error(text: str) -> SendError:
    """Says what an error of the library's `send_message` means (texts: whatsmeow's errors.go, send.go, request.go).

    What fails before the frame leaves is wrapped in a text of its own ("failed to ..."). The bare texts come from
    waiting for the answer or from whatsmeow's own second try: then the message may have left, as with any text that
    is not known here.
    """
    if code := _CODE.search(text):
        return _server_error(int(code[1]), text)
    for sign, failure in _REFUSED.items():
        if sign in text:
            return SendRefused(text, failure)
    if not text.startswith(_BEFORE_THE_FRAME):
        return SendUncertain(text)
    broken = text.startswith(_NOT_CONNECTED) or "not connected" in text or "disconnected" in text or "closed" in text
    return SessionNotOpen(text, pause=NOT_CONNECTED_PAUSE) if broken else SendDelayed(text, pause=TROUBLE_PAUSE)


def asks_for_a_look(text: str) -> bool:
    """Says whether a send to a group was refused in a way that the group itself may explain."""
    code = _CODE.search(text)
    return code is not None and int(code[1]) in ASK_THE_GROUP


def look_up_error(text: str) -> SendDelayed:
    """Says what an error of the library's `is_on_whatsapp` means: nothing about the number, and nothing has left."""
    error = send_error(text)
    if isinstance(error, SendDelayed):
        return error
    return SendDelayed(text, pause=RATE_PAUSE if "429" in text else TROUBLE_PAUSE)


def _server_error(code: int, text: str) -> SendError:
    if code == 463:
        said = f"{text} (WhatsApp limits first messages from this account)"
        return SendDelayed(said, pause=RESTRICTED_PAUSE, failure=Failure.LIMITED)
    if code in (429, 479):
        return SendDelayed(text, pause=RATE_PAUSE)
    if code >= 500 or code in (408, 421):
        return SendDelayed(text, pause=TROUBLE_PAUSE)
    return SendRefused(text)


def session_not_open() -> SessionNotOpen:
    """Returns the error of who would send through a session that is not open."""
    return SessionNotOpen("the session is not open", pause=NOT_CONNECTED_PAUSE)
