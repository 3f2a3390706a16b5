"""What a phone sends of its history after it has linked a device: a file at the media host, which a message names.

whatsmeow fetches it by itself (`handleHistorySyncNotificationLoop` in its message.go). How much a real phone sends, and
whether it obeys the limits that the device asked for, is not played: a test says how much.
"""

import zlib
from secrets import token_bytes, token_hex
from typing import Any

from wa_worker.dev.simulator.media_host import MediaHost
from wa_worker.dev.simulator.media_messages import EncryptedFile
from wa_worker.dev.simulator.protobufs import HistorySync, Message


def history(chats: int, messages: int, length: int = 300) -> bytes:
    """A history of so many chats with so many messages each, of `length` random bytes in hexadecimal."""
    sync = HistorySync(syncType=HistorySync.INITIAL_BOOTSTRAP)
    for chat in range(chats):
        conversation = sync.conversations.add(ID=f"55119777{chat:05d}@s.whatsapp.net")
        for _ in range(messages):
            message = conversation.messages.add().message
            message.key.ID, message.key.fromMe, message.key.remoteJID = token_hex(9).upper(), False, conversation.ID
            message.message.conversation, message.messageTimestamp = token_hex(length), 1_760_000_000
            message.messageSecret = token_bytes(32)
    return bytes(sync.SerializeToString())


def notification(host: MediaHost, sync: bytes) -> Any:
    """Puts a history at the media host; returns the message by which the phone tells a device of it."""
    packed = zlib.compress(sync)
    file = EncryptedFile.of("historySyncNotification", packed)
    fields = {
        "fileSHA256": file.sha256,
        "fileLength": file.size,
        "mediaKey": file.media_key,
        "fileEncSHA256": file.enc_sha256,
        "directPath": host.put(file.data, "history"),
        "syncType": HistorySync.INITIAL_BOOTSTRAP,
        "chunkOrder": 1,
    }
    return Message(protocolMessage={"type": "HISTORY_SYNC_NOTIFICATION", "historySyncNotification": fields})
