// One WhatsApp account that runs on Baileys: takes and gives one JSON object a line.
//
//     node peer.cjs <folder with node_modules> <port of the simulated WhatsApp>
//
// NODE_EXTRA_CA_CERTS names the authority to trust. Commands: {"id", "do", ...}, see `commands`; each is answered with
// {"event": "done" or "failed", "id", ...}. What happens besides comes as other events: qr, open, message, update,
// reaction, receipt, undecryptable, trouble. Ends when stdin does. It keeps its keys in memory only.
'use strict'

const { createHash } = require('node:crypto')
const http = require('node:http')
const https = require('node:https')
const net = require('node:net')
const { createRequire } = require('node:module')
const readline = require('node:readline')
const tls = require('node:tls')

const [folder, port] = [process.argv[2], Number(process.argv[3])]

// Nothing but the simulated WhatsApp is reached from here, whoever tries it.
const connect = net.Socket.prototype.connect
net.Socket.prototype.connect = function (...args) {
  const [options] = Array.isArray(args[0]) ? args[0] : args
  if (options?.host !== '127.0.0.1' || Number(options?.port) !== port) throw new Error('refused: not the simulator')
  return connect.apply(this, args)
}

const need = createRequire(`${folder}/package.json`)
const baileys = need('@whiskeysockets/baileys')
const { BufferJSON, DisconnectReason, downloadMediaMessage, initAuthCreds, jidNormalizedUser, proto } = baileys
const quiet = need('pino')({ level: process.env.BAILEYS_LOG ?? 'silent' }, need('pino').destination(2))

const say = (event, fields = {}) =>
  process.stdout.write(JSON.stringify({ event, ...fields }, (_, value) => BufferJSON.replacer(_, value)) + '\n')

// A connection to any host goes through the simulator's CONNECT proxy.
class Tunnel extends https.Agent {
  createConnection(options, done) {
    const request = http.request({ host: '127.0.0.1', port, method: 'CONNECT', path: `${options.host}:${options.port}` })
    request.once('connect', ({ statusCode }, socket) =>
      statusCode === 200
        ? done(null, tls.connect({ socket, servername: options.servername || options.host, ALPNProtocols: ['http/1.1'] }))
        : done(new Error(`the simulator answered CONNECT with ${statusCode}`))
    )
    request.once('error', done)
    request.end()
  }
}

const copy = value => JSON.parse(JSON.stringify(value, BufferJSON.replacer), BufferJSON.reviver)
const kept = new Map()
const auth = {
  creds: initAuthCreds(),
  keys: {
    get: async (type, ids) => {
      const found = ids.filter(id => kept.has(`${type} ${id}`)).map(id => [id, copy(kept.get(`${type} ${id}`))])
      return Object.fromEntries(found)
    },
    set: async data => {
      for (const [type, values] of Object.entries(data)) {
        for (const [id, value] of Object.entries(values)) {
          if (value) kept.set(`${type} ${id}`, copy(value))
          else kept.delete(`${type} ${id}`)
        }
      }
    },
  },
}
const agent = new Tunnel({ keepAlive: false })
const heard = new Map() // messages by id, to quote and to point at
const sent = new Map() // contents by id, for those who ask again
let socket

function start() {
  socket = baileys.makeWASocket({
    auth,
    agent,
    fetchAgent: agent,
    options: { httpsAgent: agent },
    logger: quiet,
    browser: ['wa-worker', 'Chrome', '1'],
    emitOwnEvents: false,
    shouldSyncHistoryMessage: () => false,
    getMessage: async key => sent.get(key.id),
  })
  socket.ev.on('connection.update', ({ connection, qr, lastDisconnect }) => {
    if (qr) say('qr', { code: qr })
    if (connection === 'open') say('open', { jid: auth.creds.me.id, lid: auth.creds.me.lid })
    if (connection === 'close') {
      const code = lastDisconnect?.error?.output?.statusCode
      say('close', { code })
      if (code === DisconnectReason.restartRequired) start()
      else if (code !== DisconnectReason.loggedOut) setTimeout(start, 200)
    }
  })
  socket.ev.on('creds.update', ({ me }) => {
    // The presence that makes its receipts those of a client in the foreground is sent only under a name.
    if (me) auth.creds.me = { ...me, name: me.name || 'Baileys' }
  })
  socket.ev.on('messages.upsert', ({ messages, type }) => messages.forEach(each => take(each, type)))
  socket.ev.on('messages.update', updates =>
    updates.forEach(({ key, update }) => say('update', { wa_id: key.id, chat: key.remoteJid, ...update }))
  )
  socket.ev.on('messages.reaction', all =>
    all.forEach(({ key, reaction }) => say('reaction', { wa_id: key.id, text: reaction.text, by: reaction.key }))
  )
  socket.ev.on('message-receipt.update', all =>
    all.forEach(({ key, receipt }) => say('receipt', { wa_id: key.id, chat: key.remoteJid, ...receipt }))
  )
}

async function take(message, type) {
  if (message.messageStubType === proto.WebMessageInfo.StubType.CIPHERTEXT) {
    say('undecryptable', { wa_id: message.key.id, chat: message.key.remoteJid, why: message.messageStubParameters })
    return
  }
  if (!message.message) return
  heard.set(message.key.id, message)
  const content = proto.Message.toObject(message.message, { longs: Number, bytes: Buffer, enums: String })
  const kind = baileys.getContentType(baileys.normalizeMessageContent(message.message))
  const said = { wa_id: message.key.id, key: message.key, name: message.pushName, offline: type === 'append', kind, content }
  if (message.message[kind]?.mediaKey) {
    try {
      const bytes = await downloadMediaMessage(message, 'buffer', { options: { httpsAgent: agent } })
      said.media = { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
    } catch (error) {
      said.media = { error: String(error) }
    }
  }
  say('message', said)
}

const keyOf = wa_id => heard.get(wa_id)?.key
const bytesOf = command => Buffer.from(command.base64, 'base64')

async function send(command, content) {
  const options = command.quote ? { quoted: heard.get(command.quote) } : {}
  const message = await socket.sendMessage(command.to, content, options)
  sent.set(message.key.id, message.message)
  heard.set(message.key.id, message)
  return { wa_id: message.key.id }
}

const commands = {
  text: command => send(command, { text: command.text, mentions: command.mentions }),
  edit: command => send(command, { text: command.text, edit: keyOf(command.of) }),
  delete: command => send(command, { delete: keyOf(command.of) }),
  react: command => send(command, { react: { text: command.text, key: keyOf(command.of) } }),
  place: command =>
    send(command, {
      location: { degreesLatitude: command.latitude, degreesLongitude: command.longitude, name: command.name },
    }),
  card: command => send(command, { contacts: { displayName: command.name, contacts: [{ vcard: command.vcard }] } }),
  image: command => send(command, { image: bytesOf(command), caption: command.caption, mimetype: command.mimetype }),
  voice: command => send(command, { audio: bytesOf(command), ptt: true, mimetype: command.mimetype }),
  document: command =>
    send(command, { document: bytesOf(command), fileName: command.filename, mimetype: command.mimetype }),
  read: async command => {
    await socket.readMessages([keyOf(command.of)])
    return {}
  },
  played: async command => {
    const { remoteJid, participant } = keyOf(command.of)
    await socket.sendReceipt(remoteJid, participant, [command.of], 'played')
    return {}
  },
}

readline
  .createInterface({ input: process.stdin })
  .on('line', async line => {
    const command = JSON.parse(line)
    try {
      say('done', { id: command.id, ...(await commands[command.do](command)) })
    } catch (error) {
      say('failed', { id: command.id, error: String(error?.stack ?? error) })
    }
  })
  .on('close', () => process.exit(0))
process.on('unhandledRejection', error => say('trouble', { error: String(error?.stack ?? error) }))
start()
