"""Says in words why an instance is as it is, and what a person has to do: in English and in Brazilian Portuguese."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from wa_worker.instances.history import ENDED, HANDED_OVER, LET_GO, TAKEN_UP, By
from wa_worker.models import NextStep, Reason
from wa_worker.states import UNOWNED, State


class Language(enum.StrEnum):
    """Names a language as HTML does; its `column` is that of the tables here."""

    ENGLISH = "en"
    PORTUGUESE = "pt-BR"

    @property
    def column(self) -> int:
        return 1 if self is Language.PORTUGUESE else 0


Table = Mapping[str, tuple[str, str]]
"""A key, and its text in English and in Portuguese."""

REASONS: Table = {
    Reason.SCAN: ("A QR code waits to be scanned", "Um QR code espera ser lido"),
    Reason.WAITING: ("A QR code comes soon", "Um QR code vem em breve"),
    Reason.OPENING: ("Logging in", "Entrando no WhatsApp"),
    Reason.CONNECTED: ("Messages flow", "As mensagens passam"),
    Reason.RECONNECTING: ("The connection broke, it comes back", "A conexão caiu, está voltando"),
    Reason.RETRYING: ("It could not be connected, it is tried again", "Não conectou, tenta de novo"),
    Reason.LOGGED_OUT: ("The phone removed this device", "O telefone removeu este aparelho"),
    Reason.REPLACED: ("Another client uses this session", "Outro cliente usa esta sessão"),
    Reason.BANNED: ("WhatsApp has banned the number for a while", "O WhatsApp baniu o número por um tempo"),
    Reason.RESTRICTED: (
        "Connected, but may not write first to people",
        "Conectado, mas não pode iniciar conversas",
    ),
    Reason.OUTDATED: ("WhatsApp refuses this version of the worker", "O WhatsApp recusa esta versão do worker"),
    Reason.REFUSED: ("WhatsApp refuses the login", "O WhatsApp recusa a entrada"),
    Reason.PASSKEY: ("WhatsApp asks for a passkey", "O WhatsApp pede uma chave de acesso (passkey)"),
    Reason.WORKER_STOPPING: ("The worker stopped", "O worker parou"),
    Reason.PROXY_FAILED: ("Its proxy to WhatsApp lets nothing through", "O proxy dela até o WhatsApp não deixa passar"),
    Reason.VOLUME_FULL: ("The worker's volume is full", "O volume do worker está cheio"),
    Reason.RELEASED: ("The back end does not list it any more", "O back-end não a lista mais"),
    Reason.CRASHED: ("An error of the worker's own", "Um erro do próprio worker"),
    LET_GO: ("A person let go of it here", "Uma pessoa a soltou aqui"),
    TAKEN_UP: ("A person took it up again", "Uma pessoa a retomou"),
    UNOWNED: ("No worker has it", "Nenhum worker está com ela"),
    HANDED_OVER: ("Another worker goes on with it", "Outro worker continua com ela"),
}

STEPS: Table = {
    NextStep.SCAN: ("scan the code", "ler o código com o telefone"),
    NextStep.WAIT: ("the worker goes on by itself", "o worker continua sozinho"),
    NextStep.UPGRADE: ("upgrade wa-worker", "atualizar o wa-worker"),
    NextStep.CHECK_PHONE: ("look at the phone", "olhar o telefone"),
    NextStep.CHECK_PROXY: ("look at the proxy of this instance", "olhar o proxy desta instância"),
    NextStep.PASSKEY: (
        "scanning again does not help: see docs/troubleshooting.md",
        "ler de novo não ajuda: veja docs/troubleshooting.md",
    ),
}

STATES: Table = {
    State.PAIRING.name.lower(): ("Pairing", "Pareando"),
    State.OPENING.name.lower(): ("Logging in", "Entrando"),
    State.CONNECTED.name.lower(): ("Connected", "Conectada"),
    State.RECONNECTING.name.lower(): ("Reconnecting", "Reconectando"),
    State.RETRYING.name.lower(): ("Retrying", "Tentando de novo"),
    State.LOGGED_OUT.name.lower(): ("Logged out", "Desvinculada"),
    State.HELD.name.lower(): ("Kept away", "Afastada"),
    ENDED: ("Ended", "Encerrada"),
    UNOWNED: ("Nobody's", "De ninguém"),
    LET_GO: ("Let go", "Solta"),
}

BY: Table = {
    By.WORKER: ("the worker", "o worker"),
    By.WHATSAPP: ("WhatsApp", "o WhatsApp"),
    By.PHONE: ("the phone", "o telefone"),
    By.PROXY: ("the back end", "o back-end"),
    By.PERSON: ("a person", "uma pessoa"),
}


def word(table: Table, key: str, language: Language = Language.ENGLISH) -> str:
    """Returns the word for a key. One that is not known, as a newer journal may have, is shown as it is."""
    return table[key][language.column] if key in table else key.replace("_", " ")
