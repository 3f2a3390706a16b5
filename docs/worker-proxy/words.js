// What connect.js and Connect.tsx say, in English and Portuguese. The keys of `reasons` are the contract's words, those of
// `errors` the hints of customers.sql. Another language: one more entry, found by the browser's.

const en = {
  title: "Your WhatsApp numbers",
  signIn: "Sign in",
  signOut: "Sign out",
  email: "E-mail",
  password: "Password",
  sendLink: "Send me a link instead",
  linkSent: "If there is an account for this address, a link is on its way.",
  loading: "One moment…",
  none: "No number yet. Add one below.",
  live: "Live",
  polling: "Looks every few seconds",
  add: "Add a number",
  name: "Name",
  namePlaceholder: "Front desk",
  create: "Add",
  more: "More",
  rename: "Rename",
  remove: "Delete",
  removeSure: "Delete this number and all its messages?",
  stop: "Stop",
  start: "Start",
  scanAlt: "QR code to scan",
  scanHow: "On the phone: WhatsApp, Linked devices, Link a device. Then scan this.",
  nextCode: "A new code comes within {n} s.",
  codeOver: "This code is over. The next one is on its way.",
  byCode: "This page is open on the phone itself? Link by a code.",
  phone: "Phone number with country code",
  getCode: "Show a code",
  byQr: "Scan instead",
  codeWait: "The code is being fetched.",
  codeHow: "On that phone: WhatsApp, Linked devices, Link a device, Link with phone number instead. Then type this.",
  codeLeft: "It works for {n} s more.",
  until: "Until {time}.",
  states: { CONNECTED: "Connected", CONNECTING: "Connecting", DISCONNECTED: "Not connected", off: "Stopped" },
  reasons: {
    none: "Waiting for the service.",
    off: "You stopped it. Start brings it back without a new scan.",
    scan: "Scan the code with the phone.",
    waiting: "A code will come in a moment.",
    opening: "It logs in.",
    connected: "Messages flow.",
    restricted: "WhatsApp does not let it write first to new people for now. Replies go out. Send fewer first messages.",
    reconnecting: "The line broke and is coming back.",
    retrying: "The line did not come back yet. We try again.",
    crashed: "Something went wrong on our side. We try again.",
    volume_full: "Our disk is full. We have to see to it.",
    logged_out: "The phone removed this device. A new code to scan follows.",
    replaced: "Another program uses this number's session.",
    banned: "WhatsApp has banned this number for a while. Do not link it again: wait.",
    outdated: "WhatsApp wants a newer version of our service. We have to see to it.",
    refused: "WhatsApp refuses the login. Open WhatsApp on the phone: it may say why.",
    passkey: "WhatsApp asks for a passkey to link this number. Look at the phone, and ask us.",
    proxy_failed: "The way out of this number does not work. We have to see to it.",
    worker_stopping: "Our service restarts. It comes back by itself.",
    released: "It was let go of.",
    other: "{reason}",
  },
  errors: {
    signed_out: "Sign in first.",
    no_instance: "This number is gone.",
    bad_name: "A name has 1 to 80 characters.",
    bad_phone: "Write the number with its country code, such as +55 11 99999-0001.",
    too_many: "You have as many numbers as your plan allows.",
    connected: "This number is connected already.",
    not_stopped: "Stop this number before you delete it.",
    stopping: "This number is being disconnected. Try again in a minute.",
    invalid_credentials: "E-mail or password is wrong.",
    other: "That did not work. Try again.",
  },
};

/** @type {typeof en} */
const ptBR = {
  title: "Seus números de WhatsApp",
  signIn: "Entrar",
  signOut: "Sair",
  email: "E-mail",
  password: "Senha",
  sendLink: "Receber um link por e-mail",
  linkSent: "Se houver uma conta com esse endereço, um link está a caminho.",
  loading: "Um momento…",
  none: "Nenhum número ainda. Adicione um abaixo.",
  live: "Ao vivo",
  polling: "Atualiza a cada poucos segundos",
  add: "Adicionar um número",
  name: "Nome",
  namePlaceholder: "Recepção",
  create: "Adicionar",
  more: "Mais",
  rename: "Renomear",
  remove: "Excluir",
  removeSure: "Excluir este número e todas as mensagens dele?",
  stop: "Parar",
  start: "Iniciar",
  scanAlt: "QR code para ler",
  scanHow: "No telefone: WhatsApp, Dispositivos conectados, Conectar dispositivo. Depois leia este código.",
  nextCode: "Um novo código vem em até {n} s.",
  codeOver: "Este código venceu. O próximo está a caminho.",
  byCode: "Esta página está aberta no próprio telefone? Conecte com um código.",
  phone: "Número do telefone com o código do país",
  getCode: "Mostrar um código",
  byQr: "Ler o QR code",
  codeWait: "O código está sendo buscado.",
  codeHow:
    "Nesse telefone: WhatsApp, Dispositivos conectados, Conectar dispositivo, Conectar com número de telefone. Depois digite este código.",
  codeLeft: "Ele vale por mais {n} s.",
  until: "Até {time}.",
  states: { CONNECTED: "Conectado", CONNECTING: "Conectando", DISCONNECTED: "Desconectado", off: "Parado" },
  reasons: {
    none: "Esperando o serviço.",
    off: "Você o parou. Iniciar o traz de volta sem ler outro código.",
    scan: "Leia o código com o telefone.",
    waiting: "Um código vem em instantes.",
    opening: "Está entrando.",
    connected: "As mensagens estão passando.",
    restricted:
      "Por ora o WhatsApp não deixa este número escrever primeiro a pessoas novas. As respostas saem. Envie menos primeiras mensagens.",
    reconnecting: "A conexão caiu e está voltando.",
    retrying: "A conexão ainda não voltou. Tentamos de novo.",
    crashed: "Algo deu errado do nosso lado. Tentamos de novo.",
    volume_full: "Nosso disco está cheio. Temos de resolver isso.",
    logged_out: "O telefone removeu este dispositivo. Um novo código para ler vem a seguir.",
    replaced: "Outro programa está usando a sessão deste número.",
    banned: "O WhatsApp baniu este número por um tempo. Não conecte de novo: espere.",
    outdated: "O WhatsApp exige uma versão mais nova do nosso serviço. Temos de resolver isso.",
    refused: "O WhatsApp recusa a entrada. Abra o WhatsApp no telefone: talvez ele diga por quê.",
    passkey: "O WhatsApp pede uma chave de acesso para conectar este número. Veja o telefone e fale conosco.",
    proxy_failed: "A saída deste número para a internet não funciona. Temos de resolver isso.",
    worker_stopping: "Nosso serviço está reiniciando. Ele volta sozinho.",
    released: "Foi liberado.",
    other: "{reason}",
  },
  errors: {
    signed_out: "Entre primeiro.",
    no_instance: "Este número não existe mais.",
    bad_name: "Um nome tem de 1 a 80 caracteres.",
    bad_phone: "Escreva o número com o código do país, como +55 11 99999-0001.",
    too_many: "Você já tem todos os números que o seu plano permite.",
    connected: "Este número já está conectado.",
    not_stopped: "Pare este número antes de excluí-lo.",
    stopping: "Este número está sendo desconectado. Tente de novo em um minuto.",
    invalid_credentials: "E-mail ou senha incorretos.",
    other: "Não deu certo. Tente de novo.",
  },
};

/** @typedef {typeof en} Words */

/** @type {[string, Words][]} */
const LANGUAGES = [["pt", ptBR], ["en", en]];

/**
 * The words of the first of these languages that there are words for.
 * @param {readonly string[]} languages
 * @returns {{ language: string, words: Words }}
 */
export function wordsFor(languages) {
  for (const wanted of languages) {
    const found = LANGUAGES.find(([language]) => wanted.toLowerCase().split("-")[0] === language);
    if (found) return { language: found[0] === "pt" ? "pt-BR" : found[0], words: found[1] };
  }
  return { language: "en", words: en };
}

/**
 * A number's state in words.
 * @param {Words} words
 * @param {import("./numbers.js").Row} row
 * @param {string} language
 * @returns {{ look: "good" | "wait" | "bad" | "off", state: string, why: string }}
 */
export function stateOf(words, row, language) {
  if (!row.enabled) return { look: "off", state: words.states.off, why: words.reasons.off };
  const reason = row.reason ?? "none";
  const known = /** @type {Record<string, string>} */ (words.reasons)[reason];
  let why = known ?? words.reasons.other.replace("{reason}", reason);
  if (row.until) {
    const format = /** @type {const} */ ({ dateStyle: "short", timeStyle: "short" });
    why += " " + words.until.replace("{time}", new Date(row.until).toLocaleString(language, format));
  }
  const look = row.status === "CONNECTED" ? "good" : row.status === "CONNECTING" || reason === "worker_stopping" ? "wait" : "bad";
  return { look, state: words.states[row.status], why };
}

/**
 * An error of a call in words.
 * @param {Words} words
 * @param {{ hint?: string | null, code?: string | null }} error
 */
export function errorOf(words, error) {
  const errors = /** @type {Record<string, string>} */ (words.errors);
  return errors[error.hint ?? ""] ?? errors[error.code ?? ""] ?? words.errors.other;
}
