"""The console's texts in Brazilian Portuguese, by the English ones."""

from __future__ import annotations

PORTUGUESE = {
    # the page
    "no instance": "nenhuma instância",
    "Skip to the conversation": "Ir para a conversa",
    "Skip to writing": "Ir para a escrita",
    "dev console": "console de desenvolvimento",
    "Dismiss": "Fechar",
    "Dismiss (Esc)": "Fechar (Esc)",
    "The worker": "O worker",
    "No script: reload to see what is new.": "Sem script: recarregue para ver as novidades.",
    "Instances": "Instâncias",
    "Add an instance": "Adicionar uma instância",
    "Letters, digits, dot, dash and underscore": "Letras, dígitos, ponto, hífen e sublinhado",
    "Add": "Adicionar",
    "Chats": "Conversas",
    "Conversation": "Conversa",
    "Messages": "Mensagens",
    "Live": "Ao vivo",
    "Not live, trying again": "Fora do ar, tentando de novo",
    "Not live: close other pages of the console and reload": "Fora do ar: feche outras páginas do console e recarregue",
    "The dev console does not answer: is wa-worker dev still running?": "O console não responde: o wa-worker "
    "dev ainda "
    "está rodando?",
    "The worker does not answer": "O worker não responde",
    "Worker: {} connected, {} connecting, {} reconnecting": "Worker: conectadas {}, conectando {}, reconectando {}",
    # what the buttons do
    "What the buttons do": "O que os botões fazem",
    "Takes the instance from the proxy and keeps its card. The proxy lists it a last time and answers 404 to "
    "its status, "
    "so the worker lets go. The session stays on disk: Connect resumes it without a scan.": "Tira a instância "
    "do proxy e "
    "mantém o cartão. O proxy a lista uma última vez e responde 404 ao status dela, e então o worker a solta. A "
    "sessão "
    "fica no disco: Conectar a retoma sem ler o código.",
    "The same, and the card goes, too. Adding the same name resumes the session.": "O mesmo, e o cartão também some. "
    "Adicionar o mesmo nome retoma a sessão.",
    "Cuts the connection to WhatsApp and each new one for five seconds. The worker reconnects by itself.": "Corta a "
    "conexão com o WhatsApp, e cada nova por cinco segundos. O worker reconecta sozinho.",
    "WhatsApp refuses the login with a temporary ban. The worker keeps away until it is over.": "O WhatsApp recusa a "
    "entrada com um banimento temporário. O worker espera até acabar.",
    "The phone removes the device. The worker archives the session and shows a new code.": "O telefone remove o "
    "aparelho. O worker arquiva a sessão e mostra um código novo.",
    # a card
    "Connect": "Conectar",
    "Disconnect": "Desconectar",
    "Remove": "Remover",
    "Drop for 5 s": "Derrubar por 5 s",
    "Ban for 10 s": "Banir por 10 s",
    "Log out": "Desvincular",
    "Scan the code": "Ler o código",
    "Simulated phone": "Telefone simulado",
    "Simulated phone of {}": "Telefone simulado de {}",
    "Nothing to scan yet": "Ainda não há código para ler",
    "QR code to link {}": "QR code para vincular {}",
    "Or on the phone, under": "Ou no telefone, em",
    "Link with phone number instead": "Vincular com número de telefone",
    "type": "digite",
    "Proxy: {} since {}": "Proxy: {} desde {}",
    "Why: {}": "Motivo: {}",
    "Not at the proxy": "Não está no proxy",
    "Chats of {}": "Conversas de {}",
    "No instance. Add one above: the worker brings it up and shows its QR code here.": "Nenhuma instância. "
    "Adicione uma "
    "acima: o worker a inicia e mostra o QR code dela aqui.",
    "No instance is like that.": "Nenhuma instância é assim.",
    "Find": "Buscar",
    "name, state or reason": "nome, estado ou motivo",
    "Show": "Mostrar",
    "all": "todas",
    "Apply": "Aplicar",
    "{} shown": "{} na tela",
    # how an instance is
    "Waiting for a scan": "Esperando a leitura",
    "Connected": "Conectada",
    "Connecting": "Conectando",
    "Disconnected": "Desconectada",
    "Getting a QR code": "Buscando um QR code",
    "Logging in": "Entrando",
    "Reconnecting": "Reconectando",
    "Logged out": "Desvinculada",
    "On hold": "Afastada",
    "Waiting for the worker": "Esperando o worker",
    "Letting go": "Soltando",
    "So says the proxy; the worker does not run it.": "É o que diz o proxy; o worker não a executa.",
    "The worker says: {}": "O worker diz: {}",
    "The worker is about to notice that the proxy does not want it any more.": "O worker logo vai notar que o "
    "proxy não "
    "a quer mais.",
    "The worker keeps the session: Connect resumes it without a scan.": "O worker guarda a sessão: Conectar a "
    "retoma sem "
    "ler o código.",
    "The phone logged this device out.": "O telefone desvinculou este aparelho.",
    "On your phone: WhatsApp > Linked devices > Link a device.": "No seu telefone: WhatsApp > Dispositivos "
    "conectados > "
    "Conectar dispositivo.",
    "The simulated phone can scan this code.": "O telefone simulado pode ler este código.",
    # chats and messages
    "New chat": "Nova conversa",
    "No chats yet.": "Nenhuma conversa ainda.",
    "with": "com",
    "from": "de",
    "No instance yet": "Nenhuma instância ainda",
    "From them": "Deles",
    "From us": "Nossa",
    "From us, on the phone": "Nossa, no telefone",
    "{} more characters": "mais {} caracteres",
    "and {} more, which only the proxy shows": "e mais {}, que só o proxy mostra",
    "before:": "antes:",
    "mentions": "menciona",
    "Reactions": "Reações",
    "WhatsApp id {}": "Id do WhatsApp {}",
    "received": "recebida",
    "sent on the phone, received": "enviada pelo telefone, recebida",
    "queued": "na fila",
    "failed": "falhou",
    "failed: {}": "falhou: {}",
    "marked sent": "marcada como enviada",
    "marked sent {} times, first": "marcada como enviada {} vezes, a primeira",
    "posted {} times": "postada {} vezes",
    "forwarded": "encaminhada",
    "forwarded many times": "encaminhada muitas vezes",
    "edited": "editada",
    "deleted": "apagada",
    "[deleted]": "[apagada]",
    "a message that is not here": "uma mensagem que não está aqui",
    "you": "você",
    "Answer": "Responder",
    "React with {}": "Reagir com {}",
    "none": "nenhuma",
    "Reply": "Responder",
    "No messages yet.": "Nenhuma mensagem ainda.",
    "The worker sends what you write here. Answers appear by themselves.": "O worker envia o que você escreve "
    "aqui. As "
    "respostas aparecem sozinhas.",
    "Add an instance: its messages will be here.": "Adicione uma instância: as mensagens dela ficarão aqui.",
    "{} by {}": "{} por {}",
    "{} {}": "{} {}",
    "{} {}: {}": "{} {}: {}",
    "delivered": "entregue",
    "read": "lida",
    "played": "ouvida",
    "a file without a name": "um arquivo sem nome",
    # files and what else is in a message
    "on its way: it takes its time": "a caminho: demora um pouco",
    "WhatsApp does not have it any more": "o WhatsApp não o tem mais",
    "larger than MEDIA_MAX_MB": "maior que MEDIA_MAX_MB",
    "not what its message says it is": "não é o que a mensagem diz",
    "the proxy takes no files": "o proxy não recebe arquivos",
    "MEDIA_IN is off": "MEDIA_IN está desligado",
    "not at this proxy": "não está neste proxy",
    "not shown: it does not look like what it is called": "não mostrado: não parece ser o que o nome diz",
    "voice note": "mensagem de voz",
    "image": "imagem",
    "video": "vídeo",
    "audio": "áudio",
    "document": "documento",
    "sticker": "figurinha",
    "Place": "Lugar",
    "Place, moving": "Lugar, em movimento",
    "Contact": "Contato",
    "Poll": "Enquete",
    "Event": "Evento",
    "Event, called off": "Evento, cancelado",
    "Order": "Pedido",
    "Article": "Artigo",
    "From an advertisement": "De um anúncio",
    "Call": "Ligação",
    "View once": "Visualização única",
    "It can be seen on the phone only.": "Só pode ser vista no telefone.",
    # writing
    "{} is not at the proxy: connect or add it to write.": "{} não está no proxy: conecte ou adicione para escrever.",
    "Replying to {}:": "Respondendo a {}:",
    "Do not reply": "Não responder",
    "Message to {}": "Mensagem para {}",
    "With": "Com",
    "no file": "nenhum arquivo",
    "Send": "Enviar",
    "Enter sends, Shift+Enter makes a new line.": "Enter envia, Shift+Enter faz uma linha nova.",
    "The simulated contact writes": "O contato simulado escreve",
    "Sends": "Envia",
    "words": "palavras",
    "Write as {}": "Escrever como {}",
    "Write as contact": "Escrever como contato",
    "Phone number, with country code": "Número de telefone, com código do país",
    "Message": "Mensagem",
    "a picture": "uma imagem",
    "a voice note": "uma mensagem de voz",
    "a document": "um documento",
    "a sticker": "uma figurinha",
    "a place": "um lugar",
    "a contact's card": "um cartão de contato",
    "a poll": "uma enquete",
    "forwarded words": "palavras encaminhadas",
    "an answer to your last message": "uma resposta à sua última mensagem",
    "a reaction to your last message": "uma reação à sua última mensagem",
    "an edit of the last message": "uma edição da última mensagem",
    "a deletion of the last message": "o apagamento da última mensagem",
    "a view-once picture": "uma imagem de visualização única",
    "a missed call": "uma ligação perdida",
    # what came of a button
    "There is no such button.": "Não existe esse botão.",
    "without a name": "sem nome",
    "Not added: {}.": "Não foi adicionada: {}.",
    "Not added: there is an instance {} already.": "Não foi adicionada: já existe uma instância {}.",
    "{} was added. The worker asks for its instances every second.": "{} foi adicionada. O worker pergunta pelas "
    "instâncias a cada segundo.",
    "{} is not disconnected.": "{} não está desconectada.",
    "{} is back at the proxy. The worker resumes its session.": "{} voltou ao proxy. O worker retoma a sessão dela.",
    "There is no instance {} to disconnect.": "Não há instância {} para desconectar.",
    "{} was taken from the proxy. The worker lets go and keeps the session.": "{} foi tirada do proxy. O worker "
    "a solta e "
    "guarda a sessão.",
    "There is no instance {} to remove.": "Não há instância {} para remover.",
    "{} was removed. Its session stays in the folder: the same name resumes it.": "{} foi removida. A sessão fica na "
    "pasta: o mesmo nome a retoma.",
    "Not sent: write a phone number to send it to.": "Não enviada: escreva um número de telefone de destino.",
    "Not sent: {} is not at the proxy. Connect or add it first.": "Não enviada: {} não está no proxy. Conecte ou "
    "adicione primeiro.",
    "Not sent: the message is empty.": "Não enviada: a mensagem está vazia.",
    "Not sent: more than {} characters.": "Não enviada: mais de {} caracteres.",
    "Not sent: there is no such file.": "Não enviada: não existe esse arquivo.",
    "Not sent: the message that it is about is not on this page any more.": "Não enviada: a mensagem de que ela "
    "trata não "
    "está mais nesta página.",
    "There is no message of yours yet that it could be about.": "Ainda não há mensagem sua de que ela pudesse tratar.",
    "The contact has not written anything yet.": "O contato ainda não escreveu nada.",
    "Only people with a phone number of their own can write here.": "Só quem tem um número próprio pode escrever aqui.",
    "A contact cannot send that.": "Um contato não pode enviar isso.",
    "That is no emoji.": "Isso não é um emoji.",
    "{} shows no code just now.": "{} não mostra código agora.",
    "The phone has scanned the code of {}.": "O telefone leu o código de {}.",
    "The connection was cut. It cannot be made anew for 5 seconds.": "A conexão foi cortada. Não pode ser "
    "refeita por 5 "
    "segundos.",
    "WhatsApp refuses logins for 10 seconds. The worker waits for the end of the ban and a little more.": "O "
    "WhatsApp "
    "recusa entradas por 10 segundos. O worker espera o fim do banimento e mais um pouco.",
    "The phone has removed the device. A new code will be there in a moment.": "O telefone removeu o aparelho. "
    "Um código "
    "novo virá em instantes.",
}
"""A text that is missing here is shown in English; tests/dev/console/test_texts.py looks for those."""
