import assert from "node:assert/strict"
import * as http from "node:http"
import { test } from "node:test"
import { localTunnel } from "../kit/local-tunnel.ts"
import { answerEach, httpOrigin, patternHash, rawOrigin } from "../kit/origin.ts"
import type { Echo } from "../kit/origin.ts"
import { eventually, rawClient, rawExchange } from "../kit/raw-http.ts"
import { createHash } from "node:crypto"

test("a kept connection carries one request after the other, and the service sees one connection", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  for (let round = 0; round < 100; round++) {
    void client.send(`GET /${round} HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    assert.equal((await client.answer()).status, 200)
  }
  client.end()
  assert.equal((await client.rest()).ending, "end")
  assert.equal(origin.accepted, 1)
  await tunnel.quiet()
})

test("a kept connection gathers no listeners", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const warnings: string[] = []
  const note = (warning: Error) => warnings.push(warning.message)
  process.on("warning", note)
  const client = await rawClient(tunnel.port)
  for (let round = 0; round < 30; round++) {
    void client.send(
      `POST /echo HTTP/1.1\r\nHost: ${tunnel.host}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
    )
    await client.answer()
  }
  client.socket.destroy()
  await tunnel.quiet()
  process.off("warning", note)
  assert.deepEqual(warnings, [])
})

test("pipelined requests are answered in order, bodies and all", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  const host = `Host: ${tunnel.host}\r\n`
  void client.send(
    `POST /echo?1 HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\none` +
      `GET /bytes?n=70000&chunked HTTP/1.1\r\n${host}\r\n` +
      `POST /echo?3 HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n` +
      `HEAD /4 HTTP/1.1\r\n${host}\r\n` +
      `GET /5 HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
  )
  assert.equal((JSON.parse((await client.answer()).body.toString()) as Echo).url, "/echo?1")
  assert.equal(
    createHash("sha256")
      .update((await client.answer()).body)
      .digest("hex"),
    patternHash(70_000),
  )
  const third = JSON.parse((await client.answer()).body.toString()) as Echo
  assert.deepEqual([third.url, third.bytes], ["/echo?3", 5])
  assert.deepEqual([(await client.answer("HEAD")).status, client.unreadBytes], [200, 0])
  const last = await client.answer()
  assert.equal(last.header("connection"), "close")
  assert.deepEqual(await client.rest(), { bytes: Buffer.alloc(0), ending: "end" })
})

test("more pipelined requests than are held arrive all the same", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  const count = 1_000
  void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\nX-Filler: ${"x".repeat(100)}\r\n\r\n`.repeat(count))
  for (let got = 0; got < count; got++) assert.equal((await client.answer()).status, 200)
  client.socket.destroy()
})

test("answers without a body have none, and keep their Content-Length where it means the body that is not sent", async () => {
  const table: [method: string, head: string, length: string | undefined][] = [
    ["HEAD", "200 OK\r\nContent-Length: 1000", "1000"],
    ["HEAD", "200 OK", undefined],
    ["HEAD", "200 OK\r\nTransfer-Encoding: chunked", undefined],
    ["GET", "204 No Content", undefined],
    ["GET", "204 No Content\r\nContent-Length: 0", undefined],
    ["GET", "304 Not Modified\r\nETag: x\r\nContent-Length: 1000", "1000"],
    ["GET", "304 Not Modified", undefined],
    ["GET", "200 OK\r\nContent-Length: 0", "0"],
    ["GET", "205 Reset Content\r\nContent-Length: 0", "0"],
  ]
  let next = 0
  await using origin = await rawOrigin(({ socket }) => socket.write(`HTTP/1.1 ${table[next++]?.[1]}\r\n\r\n`))
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  for (const [method, head, length] of table) {
    void client.send(`${method} / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    const answer = await client.answer(method)
    assert.equal(`${answer.status} ${answer.reason}`, head.split("\r\n")[0])
    assert.equal(answer.header("content-length"), length, head)
    assert.equal(answer.header("transfer-encoding"), undefined, head)
    assert.equal(answer.body.length, 0)
  }
  client.socket.destroy()
  assert.equal(origin.accepted, 1)
})

test("trailers pass both ways", async () => {
  await using origin = await httpOrigin(async (request, response) => {
    for await (const _chunk of request) continue
    response.setHeader("Trailer", "X-Sum")
    response.write("body")
    response.addTrailers({ "X-Sum": JSON.stringify(request.trailers) })
    response.end()
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const answer = await rawExchange(
    tunnel.port,
    `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Up\r\n\r\n` +
      "2\r\nab\r\n0\r\nX-Up: 1\r\nX-Up-Too: two\r\n\r\n",
  )
  assert.equal(answer.body.toString(), "body")
  assert.deepEqual(answer.trailers, [`X-Sum: {"x-up":"1","x-up-too":"two"}`])
  assert.equal(answer.header("trailer"), "X-Sum")
})

test("100-continue comes from the service, before the body is sent", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  const head = `POST /echo HTTP/1.1\r\nHost: ${tunnel.host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`
  void client.send(head)
  assert.equal(await client.takeUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n")
  void client.send("hello")
  assert.equal((JSON.parse((await client.answer()).body.toString()) as Echo).bytes, 5)
  client.socket.destroy()
})

test("a service that never says 100-continue still gets the body, and one that refuses is heard", async () => {
  await using origin = await rawOrigin((connection) => {
    const { received, socket } = connection
    if (received.includes("/refused")) socket.end("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
    else if (received.endsWith("late")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  const fields = `Host: ${tunnel.host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`
  void client.send(`POST / HTTP/1.1\r\n${fields}`)
  await eventually("the head has arrived", () => origin.received.includes("\r\n\r\n"))
  assert.match(origin.received, /\r\nExpect: 100-continue\r\n/)
  assert.equal(client.unreadBytes, 0)
  void client.send("late")
  const answer = await client.answer()
  assert.deepEqual([answer.interim.length, answer.body.toString()], [0, "ok"])
  void client.send(`POST /refused HTTP/1.1\r\n${fields}`)
  assert.equal((await client.answer()).status, 417)
  assert.equal((await client.rest()).ending, "end")
})

test("early hints arrive before the answer, and visitors of HTTP/1.0 get none", async () => {
  let finish: () => void = () => undefined
  await using origin = await httpOrigin((_request, response) => {
    response.writeEarlyHints({ link: "</a.css>; rel=preload" })
    finish = () => response.end("done")
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  assert.match(await client.takeUntil("\r\n\r\n"), /^HTTP\/1.1 103 Early Hints\r\nLink: <\/a.css>; rel=preload\r\n/)
  finish()
  assert.equal((await client.answer()).body.toString(), "done")
  void client.send(`GET / HTTP/1.0\r\nHost: ${tunnel.host}\r\n\r\n`)
  await eventually("the second has arrived", () => origin.requests.length === 2)
  finish()
  const answer = await client.answer()
  assert.deepEqual([answer.status, answer.interim.length], [200, 0])
})

test("HTTP/1.0 visitors are closed after the answer unless they ask to be kept", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const plain = await rawClient(tunnel.port)
  void plain.send(`GET / HTTP/1.0\r\nHost: ${tunnel.host}\r\n\r\n`)
  const first = await plain.answer()
  assert.deepEqual([first.header("connection"), first.body.toString()], ["close", "hello\n"])
  assert.equal((await plain.rest()).ending, "end")
  const kept = await rawClient(tunnel.port)
  for (let round = 0; round < 2; round++) {
    void kept.send(`GET / HTTP/1.0\r\nHost: ${tunnel.host}\r\nConnection: keep-alive\r\n\r\n`)
    assert.equal((await kept.answer()).header("connection"), "keep-alive")
  }
  kept.socket.destroy()
})

test("an answer without a length is chunked for HTTP/1.1 and ends with the connection for HTTP/1.0", async () => {
  await using origin = await rawOrigin(({ socket }) => {
    socket.end("HTTP/1.1 200 OK\r\n\r\nno length")
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  for (let round = 0; round < 2; round++) {
    void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    const answer = await client.answer()
    assert.deepEqual([answer.header("transfer-encoding"), answer.body.toString()], ["chunked", "no length"])
  }
  void client.send(`GET / HTTP/1.0\r\nHost: ${tunnel.host}\r\nConnection: keep-alive\r\n\r\n`)
  const old = await client.answer()
  assert.deepEqual([old.header("transfer-encoding"), old.header("connection")], [undefined, "close"])
  assert.equal(old.body.toString(), "no length")
})

test("a chunked answer reaches HTTP/1.0 visitors without its chunks", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const answer = await rawExchange(tunnel.port, `GET /bytes?n=70000&chunked HTTP/1.0\r\nHost: ${tunnel.host}\r\n\r\n`)
  assert.equal(answer.header("transfer-encoding"), undefined)
  assert.equal(createHash("sha256").update(answer.body).digest("hex"), patternHash(70_000))
})

test("a service of HTTP/1.0 is served too", async () => {
  await using origin = await rawOrigin(({ socket }) => {
    socket.end("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold")
  })
  await using tunnel = await localTunnel({ target: origin.target })
  for (let round = 0; round < 3; round++) {
    const answer = await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    assert.deepEqual([answer.version, answer.body.toString()], ["HTTP/1.1", "old"])
  }
})

test("server-sent events arrive one by one and at once", async () => {
  let send: (text: string) => void = () => undefined
  await using origin = await httpOrigin((_request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" })
    response.flushHeaders()
    send = (event) => response.write(`data: ${event}\n\n`)
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\nAccept: text/event-stream\r\n\r\n`)
  assert.match(await client.takeUntil("\r\n\r\n"), /text\/event-stream/)
  const delays: number[] = []
  for (let count = 0; count < 20; count++) {
    const sentAt = performance.now()
    send(`event ${count}`)
    await client.takeUntil(`data: event ${count}\n\n\r\n`)
    delays.push(performance.now() - sentAt)
    assert.equal(client.unreadBytes, 0)
  }
  assert.ok(Math.max(...delays) < 50, `the slowest took ${Math.max(...delays)} ms`)
  client.socket.destroy()
  await tunnel.quiet()
})

test("a head without bytes behind it is not held back", async () => {
  await using origin = await httpOrigin((_request, response) =>
    response.writeHead(200, { "X-Now": "1" }).flushHeaders(),
  )
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  const started = performance.now()
  assert.match(await client.takeUntil("\r\n\r\n"), /X-Now: 1/)
  assert.ok(performance.now() - started < 200)
  client.socket.destroy()
})

test("a long poll waits for its answer, and others do not wait for it", async () => {
  let finish: () => void = () => undefined
  await using origin = await httpOrigin((request, response) => {
    if (request.url === "/poll") finish = () => response.end("at last")
    else response.end("at once")
  })
  await using tunnel = await localTunnel({ target: origin.target, limits: { bodyMs: 300, waitMs: 300 } })
  const poll = await rawClient(tunnel.port)
  void poll.send(`GET /poll HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  const until = performance.now() + 1_500
  while (performance.now() < until) {
    const answer = await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    assert.equal(answer.body.toString(), "at once")
  }
  assert.equal(poll.unreadBytes, 0)
  finish()
  assert.equal((await poll.answer()).body.toString(), "at last")
  poll.socket.destroy()
})

test("an answer may come before the request is complete, and the connection ends behind it", async () => {
  await using origin = await rawOrigin(({ socket, received }) => {
    if (received.endsWith("\r\n\r\nabc"))
      socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nenough".slice(0, -1))
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  void client.send(`POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 1000000\r\n\r\nabc`)
  const answer = await client.answer()
  assert.deepEqual([answer.status, answer.body.toString()], [413, "enoug"])
  assert.equal((await client.rest()).ending, "end")
  await eventually("the service's connection is over too", () => origin.connections[0]?.ending !== undefined)
  client.socket.destroy()
  await tunnel.quiet()
})

test("an answer may begin before the request is complete and go on with it", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  void client.send(`POST /mirror HTTP/1.1\r\nHost: ${tunnel.host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n`)
  assert.match(await client.takeUntil("\r\n\r\n"), /^HTTP\/1.1 200/)
  assert.equal(await client.takeUntil("one\r\n"), "3\r\none\r\n")
  void client.send("3\r\ntwo\r\n")
  assert.equal(await client.takeUntil("two\r\n"), "3\r\ntwo\r\n")
  void client.send("0\r\n\r\n")
  assert.equal(await client.takeUntil("0\r\n\r\n"), "0\r\n\r\n")
  void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  assert.equal((await client.answer()).status, 200)
  client.socket.destroy()
})

test("a head that arrives byte by byte, from either side, is read as one", async () => {
  await using origin = await rawOrigin(async (connection) => {
    if (!connection.received.endsWith("\r\n\r\n")) return
    for (const character of "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n") {
      connection.socket.write(character)
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  for (const character of `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`) {
    await client.send(character)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const answer = await client.answer()
  assert.deepEqual([answer.body.toString(), answer.trailers], ["hello", ["X-T: 1"]])
  client.socket.destroy()
})

test("Node's own client with a pool of connections is served without a failure", async () => {
  await using origin = await rawOrigin(answerEach("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
  await using tunnel = await localTunnel({ target: origin.target })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })
  const get = () =>
    new Promise<number>((resolve, reject) => {
      const options = { port: tunnel.port, host: "127.0.0.1", agent, headers: { Host: tunnel.host } }
      http
        .get(options, (answer) => answer.resume().on("end", () => resolve(answer.statusCode ?? 0)))
        .on("error", reject)
    })
  const statuses = await Promise.all(Array.from({ length: 400 }, get))
  assert.ok(statuses.every((status) => status === 200))
  agent.destroy()
  assert.ok(origin.accepted <= 8, `${origin.accepted} connections to the service`)
})
