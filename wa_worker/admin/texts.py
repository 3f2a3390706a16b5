"""The texts of the admin page in English and Brazilian Portuguese, and which of them a browser gets.

A table of pairs, so that no language lacks one; gettext would want files to be compiled for some seventy lines.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wa_worker.admin.words import Language, Table

if TYPE_CHECKING:
    from werkzeug.datastructures import LanguageAccept

TEXTS: Table = {
    "title": ("Instances", "Instâncias"),
    "log_in": ("Log in", "Entrar"),
    "log_out": ("Log out", "Sair"),
    "token": ("Admin token", "Token de administração"),
    "token_help": ("The value of ADMIN_TOKEN, where the worker runs.", "O valor de ADMIN_TOKEN, onde o worker roda."),
    "wrong_token": ("This is not the token.", "Este não é o token."),
    "slow_down": ("Too many wrong tries. Wait {} seconds.", "Muitas tentativas erradas. Espere {} segundos."),
    "no_instance": ("There is no such instance.", "Não existe essa instância."),
    "expired": (
        "The form is too old. Go back, reload and try again.",
        "O formulário é antigo demais. Volte, recarregue e tente de novo.",
    ),
    "find": ("Find", "Buscar"),
    "find_help": ("name, number or reason", "nome, número ou motivo"),
    "show": ("Show", "Mostrar"),
    "apply": ("Apply", "Aplicar"),
    "all": ("all", "todas"),
    "trouble": ("in trouble", "com problema"),
    "way": ("on the way", "a caminho"),
    "connected": ("connected", "conectadas"),
    "let_go": ("let go", "soltas"),
    "none": ("Nothing here.", "Nada aqui."),
    "more": ("{} more: narrow the search.", "Mais {}: refine a busca."),
    "not_ready": ("The worker is not ready", "O worker não está pronto"),
    "journal_down": ("The journal cannot be read now", "O diário não pode ser lido agora"),
    "for": ("for {}", "há {}"),
    "ago": ("{} ago", "há {}"),
    "in": ("in {}", "em {}"),
    "until": ("until {}", "até {}"),
    "left": ("{} left", "ainda {}"),
    "last_in": ("in", "entrou"),
    "last_out": ("out", "saiu"),
    "waits": ("{} wait", "{} esperam"),
    "aside": ("{} set aside", "{} separadas"),
    "back": ("All instances", "Todas as instâncias"),
    "reason": ("Reason", "Motivo"),
    "to_do": ("What to do", "O que fazer"),
    "nothing_to_do": ("nothing", "nada"),
    "since": ("Since", "Desde"),
    "ends": ("Until", "Até"),
    "worker": ("Worker", "Worker que a tem"),
    "number": ("Number", "Número"),
    "received": ("Last received", "Última recebida"),
    "sent": ("Last sent", "Última enviada"),
    "never": ("not since the start", "não desde o início"),
    "to_deliver": ("Received, the back end lacks them", "Recebidas, faltam no back-end"),
    "to_send": ("Waiting to be sent", "Esperando envio"),
    "to_report": ("Outcomes the back end lacks", "Resultados que faltam no back-end"),
    "let_go_do": ("Let go…", "Soltar…"),
    "let_go_help": (
        "The worker disconnects it and keeps its session. It stays so, over restarts, whatever the back end lists, "
        "until it is taken up again.",
        "O worker a desconecta e guarda a sessão. Fica assim, mesmo após reiniciar e mesmo se o back-end a listar, "
        "até ser retomada.",
    ),
    "let_go_sure": ("Let go of it", "Soltar"),
    "take_up": ("Take up again", "Retomar"),
    "report": ("Support report", "Relatório de suporte"),
    "report_help": (
        "Numbers are masked and no message is in it.",
        "Os números estão mascarados e nenhuma mensagem aparece.",
    ),
    "copy": ("Copy", "Copiar"),
    "copied": ("Copied", "Copiado"),
    "set_aside": ("Set aside", "Separadas"),
    "set_aside_help": (
        "dead: the back end refused it. uncertain: it may or may not have left, and may arrive twice if it is retried. "
        "failed: it will not be sent.",
        "dead: o back-end recusou. uncertain: pode ter saído ou não, e pode chegar duas vezes se repetida. "
        "failed: não será enviada.",
    ),
    "retry": ("Retry", "Repetir"),
    "discard": ("Discard", "Descartar"),
    "changes": ("Last changes", "Últimas mudanças"),
    "by": ("By", "Por"),
    "detail": ("Detail", "Detalhe"),
    "qr": ("QR code", "QR code"),
    "scan_alt": ("QR code of this instance", "QR code desta instância"),
    "done_let_go": ("It is let go.", "Foi solta."),
    "done_take_up": ("It is taken up again.", "Foi retomada."),
    "done_retry": ("It is tried again within a minute.", "Será repetida em até um minuto."),
    "done_discard": ("It is discarded.", "Foi descartada."),
    "not_done": ("That could not be done: it has changed meanwhile.", "Não foi possível: mudou nesse meio-tempo."),
    "not_now": ("That cannot be done now: {}", "Isso não pode ser feito agora: {}"),
}

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def text(key: str, language: Language) -> str:
    """Returns a text. Raises KeyError for one that does not exist."""
    return TEXTS[key][language.column]


def language_of(accepted: LanguageAccept) -> Language:
    """Returns the language that a browser wants most, as its Accept-Language says; English if it wants neither."""
    for wanted, quality in accepted:
        if quality > 0 and (base := wanted.partition("-")[0].lower()) in ("en", "pt"):
            return Language.PORTUGUESE if base == "pt" else Language.ENGLISH
    return Language.ENGLISH


def span(seconds: float) -> str:
    """Returns a duration in its largest unit, the same in both languages: `5 s`, `12 min`, `3 h`, `2 d`."""
    whole = max(int(seconds), 0)
    unit, length = next((each for each in _UNITS if whole >= each[1]), _UNITS[-1])
    return f"{whole // length} {unit}"


def moment(at: float) -> str:
    """Returns a moment in unix seconds as UTC, which everybody who is asked can place."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
