"""A WhatsApp client for the tests: plain neonize that takes and gives one JSON object a line.

    python -m wa_worker.dev.simulator.trust tests.dev.simulator.client STORE...

Each STORE is the path of a session's SQLite file; `session` in each line is its index. Commands:
`{"session", "send": text, "to": phone}`, `{"session", "upload": base64, "kind": "image", "to": phone}`,
`{"session", "download": message id}` and `{"session", "stop": true}`. Ends when stdin does.
"""

import base64
import hashlib
import json
import os
import sys
import threading
from typing import Any

# neonize's Go core writes to fd 1: keep the real one for ourselves
_OUT = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import wa_worker.whatsapp.libmagic  # noqa: E402,F401 - before neonize

# isort: split
import neonize  # noqa: E402
from neonize import events  # noqa: E402
from neonize.proto.Neonize_pb2 import Receipt  # noqa: E402
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message  # noqa: E402
from neonize.utils.enum import MediaType  # noqa: E402
from neonize.utils.jid import build_jid  # noqa: E402

_MESSAGES: dict[str, Any] = {}
_FIELDS = {
    "image": ("imageMessage", MediaType.MediaImage),
    "document": ("documentMessage", MediaType.MediaDocument),
    "audio": ("audioMessage", MediaType.MediaAudio),
}
_SIGNS = [threading.Event() for _ in sys.argv]


def say(session: int, event: str, **more: Any) -> None:
    _SIGNS[session].set()
    _OUT.write(json.dumps({"session": session, "event": event, **more}) + "\n")


def text_of(message: Any) -> str:
    return str(message.conversation or message.extendedTextMessage.text)


def open_session(index: int, store: str) -> Any:
    """Return at the session's first sign of life: neonize does not survive sessions that start at once."""
    client = neonize.NewClient(store, uuid=f"session-{index}")
    client.qr(lambda _, code: say(index, "qr", code=code.decode()))
    simple = {
        events.ConnectedEv: "connected",
        events.DisconnectedEv: "disconnected",
        events.LoggedOutEv: "logged_out",
        events.StreamReplacedEv: "replaced",
        events.ClientOutdatedEv: "outdated",
        events.ConnectFailureEv: "connect_failure",
        events.UndecryptableMessageEv: "undecryptable",
        events.OfflineSyncCompletedEv: "offline_done",
    }
    for kind, name in simple.items():
        client.event(kind)(lambda _, __, name=name: say(index, name))
    client.event(events.TemporaryBanEv)(lambda _, ban: say(index, "banned", expire=ban.Expire))
    client.event(events.ReceiptEv)(
        lambda _, receipt: say(
            index,
            "receipt",
            ids=list(receipt.MessageIDs),
            type=Receipt.ReceiptType.Name(receipt.Type),
            chat=f"{receipt.MessageSource.Chat.User}@{receipt.MessageSource.Chat.Server}",
            sender=receipt.MessageSource.Sender.User,
        )
    )
    client.event(events.MessageEv)(lambda _, message: take(index, message))
    client.event(events.GroupInfoEv)(
        lambda _, group: say(
            index,
            "group",
            subject=group.Name.Name,
            join=[each.User for each in group.Join],
            leave=[each.User for each in group.Leave],
            promote=[each.User for each in group.Promote],
            demote=[each.User for each in group.Demote],
            announce=group.Announce.IsAnnounce if group.HasField("Announce") else None,
            topic=group.Topic.Topic if group.HasField("Topic") else None,
            by=group.Sender.User,
            unknown=[each.Tag for each in group.UnknownChanges],
            link=group.HasField("Link"),
        )
    )
    client.event(events.JoinedGroupEv)(
        lambda _, group: say(index, "joined", subject=group.GroupInfo.GroupName.Name, by=group.Sender.User)
    )
    threading.Thread(target=connect, args=(index, client), daemon=True).start()
    _SIGNS[index].wait(2)
    return client


def connect(index: int, client: Any) -> None:
    try:
        client.connect()
    except Exception as error:  # noqa: BLE001  whatever it is, the test wants to read it
        say(index, "ended", error=str(error))


def send(index: int, client: Any, command: dict[str, Any]) -> None:
    text = command["send"]
    try:
        jid = build_jid(command["to"], command.get("server", "s.whatsapp.net"))
        say(index, "sent", text=text, id=client.send_message(jid, Message(conversation=text)).ID)
    except Exception as error:  # noqa: BLE001  whatever it is, the test wants to read it
        say(index, "send_failed", text=text, error=str(error))


def take(index: int, message: Any) -> None:
    _MESSAGES[message.Info.ID] = message.Message
    say(
        index,
        "message",
        id=message.Info.ID,
        text=text_of(message.Message),
        sender=message.Info.MessageSource.Sender.User,
        server=message.Info.MessageSource.Sender.Server,
        alt=message.Info.MessageSource.SenderAlt.User,
        from_me=message.Info.MessageSource.IsFromMe,
        chat=f"{message.Info.MessageSource.Chat.User}@{message.Info.MessageSource.Chat.Server}",
    )


def upload(index: int, client: Any, command: dict[str, Any]) -> None:
    field, kind = _FIELDS[command["kind"]]
    try:
        file = client.upload(base64.b64decode(command["upload"]), kind)
        content = {
            "URL": file.url,
            "directPath": file.DirectPath,
            "mediaKey": file.MediaKey,
            "fileEncSHA256": file.FileEncSHA256,
            "fileSHA256": file.FileSHA256,
            "fileLength": file.FileLength,
        }
        sent = client.send_message(build_jid(command["to"]), Message(**{field: content}))
        say(index, "sent", id=sent.ID)
    except Exception as error:  # noqa: BLE001
        say(index, "upload_failed", error=str(error))


def download(index: int, client: Any, command: dict[str, Any]) -> None:
    try:
        data = client.download_any(_MESSAGES[command["download"]])
        say(index, "downloaded", id=command["download"], sha256=hashlib.sha256(data).hexdigest())
    except Exception as error:  # noqa: BLE001
        say(index, "download_failed", id=command["download"], error=str(error))


def main() -> None:
    clients = [open_session(index, store) for index, store in enumerate(sys.argv[1:])]
    for line in sys.stdin:
        command = json.loads(line)
        index = command["session"]
        if command.get("stop"):
            clients[index].stop()
        else:
            does = upload if "upload" in command else download if "download" in command else send
            threading.Thread(target=does, args=(index, clients[index], command), daemon=True).start()
    os._exit(0)  # connect() may hang for good (a waiting QR)


main()
