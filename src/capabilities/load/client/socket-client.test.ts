import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer as createHttpServer } from "node:http"
import { createServer as createHttpsServer } from "node:https"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import type { Server, Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { createServer as createTlsServer } from "node:tls"
import { makeCertificate } from "../../../../test/kit/certificates.ts"
import { clientScenario, connectTo, listening, loadTarget, textMessage } from "../../../../test/kit/load-client.ts"
import type { Message } from "../message/message.ts"
import type { Expectation, HttpPlan, Target } from "../scenario/scenario.ts"
import { createFactory } from "./factory.ts"
import { buildHttpRequest } from "./http-request.ts"

/** Ends with the test, with all its connections. */
async function serve(t: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => undefined)
    onSocket(socket)
  })
  return open(t, server)
}

function open(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on("connection", (socket: Socket) => sockets.add(socket))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return listening(server)
}

const echo = (socket: Socket) => void socket.pipe(socket)

test("an exchange over TCP: opened, answered each time, closed in good order", async (t) => {
  const port = await serve(t, echo)
  const exchange = connectTo(loadTarget("tcp", port))
  await exchange.opened
  const good = { bytes: 11, wrong: undefined, usable: true }
  assert.deepEqual(await exchange.ask(textMessage("hello world")), good)
  assert.deepEqual(await exchange.ask(textMessage("HELLO WORLD")), good)
  exchange.client.close()
  assert.equal(await exchange.closed, undefined)
  assert.deepEqual(exchange.told, ["opened", "answered", "answered", "closed"])
})

test("a plain byte array is sent as it is, and a large answer comes in many reads", async (t) => {
  const port = await serve(t, echo)
  const exchange = connectTo(loadTarget("tcp", port))
  await exchange.opened
  const content = new Uint8Array(3_000_000).fill(7)
  content[2_999_999] = 8
  assert.equal((await exchange.ask({ bytes: content, content, expect: { kind: "echo" } }))?.wrong, undefined)
  exchange.client.close()
  await exchange.closed
})

test("a message can be sent from within the answer to the one before", async (t) => {
  const port = await serve(t, echo)
  const over = Promise.withResolvers<number>()
  let count = 0
  const client = createFactory(loadTarget("tcp", port), clientScenario()).create({
    opened: (client) => client.send(textMessage("first")),
    answered: (client) => {
      if (++count < 1000) client.send(textMessage(`message ${count}`))
      else client.close()
    },
    closed: () => over.resolve(count),
  })
  client.connect()
  assert.equal(await over.promise, 1000)
})

test("an exchange over a unix socket", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-load-"))
  const path = join(folder, "s")
  const server = createServer(echo)
  server.listen(path)
  await once(server, "listening")
  t.after(() => {
    server.close()
    rmSync(folder, { recursive: true })
  })
  const exchange = connectTo(loadTarget("unix", 0, { host: "", path }))
  await exchange.opened
  assert.equal((await exchange.ask(textMessage("hello")))?.wrong, undefined)
  exchange.client.close()
  assert.equal(await exchange.closed, undefined)
})

test("an exchange over TLS, with an authority, by name to another address, and without verification", async (t) => {
  const pair = makeCertificate(["load.test"])
  const port = await open(t, createTlsServer({ ...pair, noDelay: true }, echo))
  const settings = [
    { host: "load.test", address: "127.0.0.1", tls: { insecure: false, ca: pair.ca } },
    { tls: { insecure: false, ca: pair.ca, serverName: "load.test" } },
    { tls: { insecure: true } },
  ]
  for (const changes of settings) {
    const exchange = connectTo(loadTarget("tls", port, changes))
    await exchange.opened
    const content = Buffer.alloc(200_000, "abc")
    const message = { bytes: content, content, expect: { kind: "echo" } } as const
    assert.deepEqual(await exchange.ask(message), { bytes: 200_000, wrong: undefined, usable: true })
    assert.equal((await exchange.ask(message))?.wrong, undefined)
    exchange.client.close()
    assert.equal(await exchange.closed, undefined)
  }
})

test("several answers in one read: the first one counts, the others were not asked for", async (t) => {
  const port = await serve(t, (socket) => socket.on("data", () => void socket.write("one\ntwo\n")))
  const exchange = connectTo(loadTarget("tcp", port), { framing: { kind: "newline" } })
  await exchange.opened
  const content = Buffer.from("one")
  const answer = await exchange.ask({ bytes: Buffer.from("one\n"), content, expect: { kind: "echo" } })
  assert.deepEqual([answer?.wrong?.kind, answer?.usable], ["protocol", false])
  assert.match(answer?.wrong?.detail ?? "", /^127\.0\.0\.1:\d+ sent 4 bytes that nobody asked for$/)
  assert.equal(await exchange.closed, undefined)
})

test("bytes that come while nothing is awaited are a protocol error, unless any bytes are an answer", async (t) => {
  const port = await serve(t, (socket) => {
    socket.write("welcome")
    echo(socket)
  })
  assert.equal((await connectTo(loadTarget("tcp", port)).closed)?.kind, "protocol")
  const tolerant = connectTo(loadTarget("tcp", port), { expect: { kind: "any" } })
  await tolerant.opened
  assert.equal((await tolerant.ask(textMessage("x", { kind: "any" })))?.wrong, undefined)
  tolerant.client.cut()
  await tolerant.closed
})

test("an expectation of no bytes is fulfilled by sending", async (t) => {
  const arrived = Promise.withResolvers<string>()
  const port = await serve(t, (socket) => socket.on("data", (bytes) => arrived.resolve(bytes.toString())))
  const exchange = connectTo(loadTarget("tcp", port))
  await exchange.opened
  assert.deepEqual(await exchange.ask(textMessage("fire", { kind: "size", bytes: 0 })), {
    bytes: 0,
    wrong: undefined,
    usable: true,
  })
  assert.equal(await arrived.promise, "fire")
  exchange.client.close()
  await exchange.closed
})

test("what is cut is closed once and answers no more, in whatever state", async (t) => {
  const port = await serve(t, echo)
  const early = connectTo(loadTarget("tcp", port))
  early.client.cut()
  assert.equal(await early.closed, undefined)
  assert.deepEqual(early.told, ["closed"])

  const busy = connectTo(loadTarget("tcp", port))
  await busy.opened
  const answer = busy.ask(textMessage("hello"))
  busy.client.cut()
  busy.client.cut()
  assert.equal(await answer, undefined)
  assert.equal((await busy.closed)?.kind, "other")
  assert.deepEqual(busy.told, ["opened", "closed"])
})

test("a cut reaches the other side as a reset", async (t) => {
  const failed = Promise.withResolvers<string | undefined>()
  const port = await serve(t, (socket) =>
    socket.on("error", (error) => failed.resolve((error as NodeJS.ErrnoException).code)),
  )
  const exchange = connectTo(loadTarget("tcp", port))
  await exchange.opened
  exchange.client.cut()
  await exchange.closed
  assert.equal(await failed.promise, "ECONNRESET")
})

test("a server that ends an idle connection ends it in good order", async (t) => {
  const port = await serve(t, (socket) => void socket.end())
  assert.equal(await connectTo(loadTarget("tcp", port)).closed, undefined)
})

// HTTP.

const plan: HttpPlan = { kind: "http", method: "GET", headers: [] }

function request(
  target: Target,
  expect: Expectation = { kind: "status", codes: [] },
  changes: Partial<HttpPlan> = {},
): Message {
  const whole = { ...plan, ...changes }
  const content = Buffer.from(whole.bodyBase64 ?? "", "base64")
  return { bytes: buildHttpRequest(target, whole), content, expect }
}

test("exchanges over HTTP and HTTPS on kept connections: lengths, chunks, HEAD, 204, 103, echo", async (t) => {
  const pair = makeCertificate()
  const answer: Parameters<typeof createHttpServer>[1] = (incoming, response) => {
    if (incoming.url === "/none") response.writeHead(204).end()
    else if (incoming.url === "/early") {
      response.writeEarlyHints({ link: "</x>; rel=preload" })
      response.end("late")
    } else if (incoming.url === "/long") {
      response.write("x".repeat(400_000))
      response.end("end")
    } else incoming.pipe(response)
  }
  const servers = [
    ["http", createHttpServer(answer)],
    ["https", createHttpsServer(pair, answer)],
  ] as const
  for (const [protocol, server] of servers) {
    const port = await open(t, server)
    const target = (path: string) => loadTarget(protocol, port, { path, tls: { insecure: false, ca: pair.ca } })
    const exchange = connectTo(target("/"))
    await exchange.opened
    const wrong = async (message: Message) => {
      const answer = await exchange.ask(message)
      assert.equal(answer?.usable, true)
      return answer.wrong
    }
    const post = { method: "POST", bodyBase64: Buffer.alloc(100_000, "body").toString("base64") }
    for (let round = 0; round < 3; round++) {
      assert.equal(await wrong(request(target("/none"), { kind: "status", codes: [204] })), undefined)
      assert.equal(await wrong(request(target("/early"), { kind: "match", pattern: "^late$", flags: "" })), undefined)
      assert.equal(await wrong(request(target("/long"), { kind: "size", bytes: 400_003 })), undefined)
      assert.equal(await wrong(request(target("/long"), undefined, { method: "HEAD" })), undefined)
      assert.equal(await wrong(request(target("/"), { kind: "echo" }, post)), undefined)
    }
    exchange.client.close()
    assert.equal(await exchange.closed, undefined)
  }
})

test("an answer that ends the connection says so before it closes, and its message is not lost", async (t) => {
  const port = await open(
    t,
    createHttpServer((_incoming, response) => void response.setHeader("connection", "close").end("bye")),
  )
  const target = loadTarget("http", port, { path: "/" })
  const exchange = connectTo(target)
  await exchange.opened
  const answer = await exchange.ask(request(target))
  assert.deepEqual([answer?.wrong, answer?.usable], [undefined, false])
  assert.equal(await exchange.closed, undefined)
  assert.deepEqual(exchange.told, ["opened", "answered", "closed"])
})

test("an answer without a length ends with the connection; one with a length must not", async (t) => {
  const port = await serve(t, (socket) => {
    socket.once("data", (bytes) => {
      const length = bytes.includes("/short") ? "content-length: 50\r\n" : ""
      socket.end(`HTTP/1.1 200 OK\r\n${length}\r\nhello`)
    })
  })
  const target = (path: string) => loadTarget("http", port, { path })
  const whole = connectTo(target("/"))
  await whole.opened
  const answer = await whole.ask(request(target("/"), { kind: "size", bytes: 5 }))
  assert.deepEqual([answer?.wrong, answer?.usable], [undefined, false])
  assert.equal(await whole.closed, undefined)
  const short = connectTo(target("/short"))
  await short.opened
  assert.equal(await short.ask(request(target("/short"))), undefined)
  assert.equal((await short.closed)?.kind, "closed early")
})

test("a message that is sent in spite of the end is told as lost", async (t) => {
  const port = await open(
    t,
    createHttpServer((_incoming, response) => void response.setHeader("connection", "close").end()),
  )
  const target = loadTarget("http", port, { path: "/" })
  const over = Promise.withResolvers<string | undefined>()
  createFactory(target, clientScenario())
    .create({
      opened: (client) => client.send(request(target)),
      answered: (client) => client.send(request(target)),
      closed: (_client, error) => over.resolve(error?.kind),
    })
    .connect()
  assert.equal(await over.promise, "closed early")
})
