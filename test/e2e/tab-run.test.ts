/** `rdv tab run` from outside: a server of an application in Node, as a real process, for this machine and at a relay. */

import assert from "node:assert/strict"
import { once } from "node:events"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import type * as http from "node:http"
import * as net from "node:net"
import { join } from "node:path"
import { test } from "node:test"
import { WebSocket } from "ws"
import {
  assertOneLine,
  newToken,
  runCommand,
  RunningCommand,
  startRelayCommand,
  temporaryFolder,
} from "../kit/command.ts"
import { fetchAt } from "../kit/tab-relay.ts"
import { writeApp } from "../kit/tab-app-text.ts"

interface Started {
  readonly run: RunningCommand
  readonly url: string
  readonly port: number
  readonly data: string
}

async function start(folder: string, ...flags: readonly string[]): Promise<Started> {
  const run = new RunningCommand(["tab", "run", join(folder, "app.ts"), "--json", ...flags], { data: folder })
  const { url, data } = (await run.event("listening")) as { url: string; data: string }
  return { run, url, port: Number(new URL(url).port), data }
}

const text = async (url: string, init?: RequestInit): Promise<string> => (await fetch(url, init)).text()

test("a file is a server: pages, forms, streams, WebSockets, mistakes of the application, and its lines", async () => {
  using folder = temporaryFolder()
  writeApp(folder.path, "Notes")
  const { run, url } = await start(folder.path)
  await using _ = run
  const page = await fetch(url)
  assert.match(page.headers.get("content-type") ?? "", /^text\/html/)
  // No page agent: there is no tab behind it.
  assert.equal(await page.text(), "<!doctype html><title>Notes</title><h1>Notes</h1>\n")
  assert.equal(await text(`${url}who`), `{"kind":"own"}`)
  const big = new Uint8Array(3_000_000).fill(7)
  const echo = await fetch(`${url}echo`, { method: "POST", body: big })
  assert.deepEqual(new Uint8Array(await echo.arrayBuffer()), big)
  const failed = await fetch(`${url}fail`)
  assert.deepEqual([failed.status, await failed.text()], [500, "The application failed: the app's own fault\n"])
  // The place is that in the source.
  await run.says(/tab\.request_failed.*app\.ts:\d+:\d+/)
  await run.says(/info +started +note=notes/)

  const events = await fetch(`${url}ticks`)
  const reader = (events.body as ReadableStream<Uint8Array>).getReader()
  assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), "data: 0\n\n")
  await reader.cancel()

  const socket = new WebSocket(url.replace("http", "ws"))
  await once(socket, "open")
  socket.send("hello")
  assert.equal(String((await once(socket, "message"))[0]), "own: hello")
  socket.close()
  await once(socket, "close")

  const head = await fetch(url, { method: "HEAD" })
  assert.deepEqual([head.status, await head.text()], [200, ""])
})

test("what was answered is there after kill -9; a second server of the database is refused with one line", async () => {
  using folder = temporaryFolder()
  writeApp(folder.path, "Notes")
  const first = await start(folder.path)
  const { key } = JSON.parse(await text(`${first.url}me`)) as { key: string }
  const acknowledged: string[] = []
  await Promise.all(
    Array.from({ length: 8 }, async (_, writer) => {
      for (let n = 0; n < 1000; n++) {
        const body = `${writer}/${n}`
        try {
          if ((await fetch(`${first.url}notes`, { method: "POST", body })).status !== 201) return
        } catch {
          return
        }
        acknowledged.push(body)
        if (acknowledged.length === 200) {
          assertOneLine(
            await runCommand(["tab", "run", "app.ts"], { data: folder.path }),
            1,
            /data\.sqlite is in use by another process: stop the other one first/,
          )
          first.run.kill("SIGKILL")
        }
      }
    }),
  )
  await first.run.ended
  assert.ok(acknowledged.length >= 200)
  const second = await start(folder.path)
  await using _ = second.run
  const there = new Set(JSON.parse(await text(`${second.url}notes`)) as string[])
  assert.deepEqual(
    acknowledged.filter((each) => !there.has(each)),
    [],
    "acknowledged, and lost",
  )
  // The same server as before, with the same key, which nobody else may read.
  assert.equal((JSON.parse(await text(`${second.url}me`)) as { key: string }).key, key)
  assert.equal(second.data, first.data)
  assert.equal(statSync(join(second.data, "identity.pem")).mode & 0o777, 0o600)
})

test("pages of other sites, other ports, other names and proxies are not the user", async () => {
  using folder = temporaryFolder()
  writeApp(folder.path, "Notes")
  const { run, port, url } = await start(folder.path)
  await using _ = run
  const kind = async (headers: http.OutgoingHttpHeaders, host = `localhost:${port}`): Promise<string> =>
    (JSON.parse((await fetchAt(port, host, "/who", { headers })).text) as { kind: string }).kind
  assert.equal(await kind({}), "own")
  assert.equal(await kind({}, `127.0.0.1:${port}`), "own")
  assert.equal(await kind({ "sec-fetch-site": "same-origin", origin: `http://localhost:${port}` }), "own")
  assert.equal(await kind({ "sec-fetch-site": "none" }), "own")
  assert.equal(await kind({ "sec-fetch-site": "cross-site" }), "public")
  assert.equal(await kind({ "sec-fetch-site": "same-site" }), "public")
  assert.equal(await kind({ origin: "https://evil.example" }), "public")
  assert.equal(await kind({ origin: "null" }), "public")
  assert.equal(await kind({ origin: `http://localhost:${port + 1}` }), "public")
  // A domain of somebody else that leads here.
  assert.equal(await kind({}, `evil.example:${port}`), "public")
  assert.equal(await kind({ "x-forwarded-for": "198.51.100.7" }), "public")

  const socket = new WebSocket(url.replace("http", "ws"), { headers: { origin: "https://evil.example" } })
  await once(socket, "open")
  socket.send("let me in")
  assert.equal(String((await once(socket, "message"))[0]), "public: let me in")
  socket.terminate()
})

test("bytes that are no request get an answer that says so, and nothing breaks", async () => {
  using folder = temporaryFolder()
  writeApp(folder.path, "Notes")
  const { run, port, url } = await start(folder.path)
  await using _ = run
  const send = async (bytes: string): Promise<string> => {
    const socket = net.connect(port, "127.0.0.1")
    socket.on("error", () => undefined)
    socket.end(bytes)
    let answer = ""
    for await (const chunk of socket) answer += String(chunk)
    return answer.split("\r\n")[0] ?? ""
  }
  const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
  const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
  assert.match(await send("nonsense\r\n\r\n"), /^HTTP\/1\.1 400/)
  assert.match(await send("GET http://elsewhere.example/ HTTP/1.1\r\nHost: a\r\n\r\n"), /^HTTP\/1\.1 400/)
  assert.match(
    await send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    /^HTTP\/1\.1 400/,
  )
  assert.match(await send(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(40_000)}\r\n\r\n`), /^HTTP\/1\.1 431/)
  assert.match(await send("TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), /^HTTP\/1\.1 501/)
  assert.match(await send(`GET / HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n`), /^HTTP\/1\.1 426/)
  assert.match(await send(`GET / HTTP/1.1\r\nHost: a\r\n${upgrade}${key}\r\n\xff\xff\xff`), /^HTTP\/1\.1 101/)
  assert.match(
    await send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
    /^HTTP\/1\.1 200/,
  )
  assert.equal(await text(`${url}who`), `{"kind":"own"}`)
})

test("Ctrl+C lets an answer finish, ends events and sockets, and frees the database", async () => {
  using folder = temporaryFolder()
  writeApp(folder.path, "Notes")
  const { run, url } = await start(folder.path, "--drain", "5s")
  await using _ = run
  const socket = new WebSocket(url.replace("http", "ws"))
  await once(socket, "open")
  const events = await fetch(`${url}ticks`)
  const slow = text(`${url}slow`)
  const closed = once(socket, "close")
  await new Promise((done) => setTimeout(done, 50))
  run.kill("SIGINT")
  assert.equal(await slow, "slow, but whole")
  assert.equal((await closed)[0], 1001)
  assert.match(await events.text(), /^data: 0/)
  assert.deepEqual((await run.ended).code, 0)
  const again = await start(folder.path)
  await again.run[Symbol.asyncDispose]()
})

test("with a name it is public at the relay by the proof of its key, over a restart too; nobody else gets the name", async () => {
  using folder = temporaryFolder()
  using other = temporaryFolder()
  using at = temporaryFolder()
  writeApp(folder.path, "Notes")
  writeApp(other.path, "Thief")
  const { relay, address, port } = await startRelayCommand(["--open"], { data: at.path })
  await using _ = relay
  const flags = ["--name", "alice", "--relay", address]
  const first = await start(folder.path, ...flags)
  assert.equal((await first.run.event("public"))["url"], `http://alice.localhost:${port}`)
  const host = `alice.localhost:${port}`
  assert.equal((await fetchAt(port, host, "/notes", { method: "POST", body: "from afar" })).status, 201)
  assert.equal((JSON.parse((await fetchAt(port, host, "/who")).text) as { kind: string }).kind, "public")
  assert.equal((JSON.parse(await text(`${first.url}me`)) as { url: string }).url, `http://${host}`)
  first.run.kill("SIGKILL")
  await first.run.ended

  const second = await start(folder.path, ...flags)
  await using __ = second.run
  await second.run.event("public")
  assert.equal((await fetchAt(port, host, "/notes")).text, `["from afar"]`)
  const listed = await runCommand(["tab", "ls", "--json"], { data: folder.path })
  const { servers } = JSON.parse(listed.stdout) as { servers: { url: string; public: string }[] }
  assert.deepEqual(
    servers.map((each) => [each.url, each.public]),
    [[second.url, `http://${host}`]],
  )

  const thief = await runCommand(["tab", "run", "app.ts", ...flags], { data: other.path })
  assert.equal(thief.code, 1)
  assert.match(thief.stderr, /^rdv: .*alice.*$/m)
  assert.doesNotMatch(thief.stderr, /^\s+at /m)
})

test("servers with names call each other, know who calls, and remember the key", async () => {
  using folder = temporaryFolder()
  using at = temporaryFolder()
  const { path } = folder
  const caller = `import { visitorOf } from "rdv/tab"
    export default { fetch(request, env) {
      const { pathname } = new URL(request.url)
      if (pathname === "/who") return Response.json(visitorOf(request))
      return env.peers.fetch(pathname.slice(1), "/who")
    } }`
  writeFileSync(join(path, "app.ts"), caller)
  const { relay, address } = await startRelayCommand(["--open"], { data: at.path })
  await using _ = relay
  const alice = await start(path, "--data", "alice", "--name", "alice", "--relay", address)
  await using __ = alice.run
  const bob = await start(path, "--data", "bob", "--name", "bob", "--relay", address)
  await using ___ = bob.run
  const alone = await start(path, "--data", "alone")
  await using ____ = alone.run
  const [event] = await Promise.all([alice.run.event("public"), bob.run.event("public")])
  assert.match(event["url"] as string, /^http:\/\/alice\./)
  const { kind, peer } = JSON.parse(await text(`${alice.url}bob`)) as {
    kind: string
    peer: { name: string; key: string }
  }
  assert.deepEqual([kind, peer.name, peer.key.length], ["peer", "alice", 43])
  const known = JSON.parse(readFileSync(join(path, "bob", "peers.json"), "utf8")) as Record<string, string>
  assert.deepEqual(known, { alice: peer.key })
  assert.match(await text(`${alone.url}bob`), /^The application failed: This server is not public/)
  assert.match(await text(`${alice.url}nobody`), /^The application failed: .*nobody/)
})

test("a proof for another domain is refused with its mend; with a token the name is the token's", async () => {
  using folder = temporaryFolder()
  using at = temporaryFolder()
  writeApp(folder.path, "Notes")
  const token = await newToken("laptop", at.path)
  const { relay, address, port } = await startRelayCommand([], { data: at.path })
  await using _ = relay
  const alone = ["tab", "run", "app.ts", "--name", "bob", "--relay", address, "--log-level", "error"]
  assertOneLine(await runCommand(alone, { data: folder.path }), 1, /takes servers of published applications alone/)
  const published = ["--name", "bob", "--relay", address, "--app", "chat"]
  const chat = ["tab", "publish", "app.ts", "--name", "chat", "--relay", address]
  writeFileSync(join(folder.path, "token"), token)
  assert.equal((await runCommand([...chat, "--token-file", "token"], { data: folder.path })).code, 0)
  const quiet = ["--log-level", "error"]
  const elsewhere = ["tab", "run", "app.ts", ...published, "--domain", "elsewhere.example", ...quiet]
  const names = /signature is wrong.*: it was made for names below elsewhere\.example; tell others with --domain/
  assertOneLine(await runCommand(elsewhere, { data: folder.path }), 1, names)
  const run = await start(folder.path, "--name", "bob", "--relay", address, "--token-file", "token")
  await using __ = run.run
  await run.run.event("public")
  assert.equal((await fetchAt(port, `bob.localhost:${port}`)).status, 200)
})

test("each mistake is one line: no such file, no application, a port in use, a key that others may read, wrong flags", async () => {
  using folder = temporaryFolder()
  const { path } = folder
  writeApp(path, "Notes")
  writeFileSync(join(path, "bad.ts"), "export default {\n  fetch( {\n}\n")
  writeFileSync(
    join(path, "throws.ts"),
    'throw new Error("no\\nluck")\nexport default { fetch: () => new Response() }\n',
  )
  writeFileSync(
    join(path, "start.ts"),
    'export default { fetch: () => new Response(), start() { throw new Error("no schema") } }\n',
  )
  const refused = async (args: readonly string[], code: number, pattern: RegExp): Promise<void> => {
    assertOneLine(await runCommand(["tab", "run", ...args], { data: path }), code, pattern)
  }
  await Promise.all([
    refused(["nothing.ts"], 2, /There is no application "nothing\.ts": check the path/),
    refused(["."], 2, /is a folder, and an application is one file: did you mean app\.ts\?/),
    refused(["page.html"], 2, /is no TypeScript or JavaScript/),
    refused(["app.ts", "--port", "0"], 2, /--port "0" is not a whole number/),
    refused(["app.ts", "--name", "alice"], 2, /--name is a name at a relay: add --relay/),
    refused(["app.ts", "--relay", "localhost:1"], 2, /--relay is for a server that is public: add --name/),
    refused(["app.ts", "--name", "a b", "--relay", "localhost:1"], 2, /"a b" is no host name/),
    refused(["bad.ts"], 2, /bad\.ts:4:1: .*end of file/),
    refused(["throws.ts"], 2, /throws\.ts throws while it loads: no luck: correct it$/),
    refused(["start.ts"], 2, /start\.ts throws in start: no schema: correct it$/),
  ])
  const taken = net.createServer().listen(0, "127.0.0.1")
  await once(taken, "listening")
  const { port } = taken.address() as net.AddressInfo
  const ended = await runCommand(["tab", "run", "app.ts", "--port", String(port), "--log-level", "error"], {
    data: path,
  })
  assertOneLine(ended, 1, new RegExp(`Port ${port} of this machine is in use: choose another one`))
  taken.close()

  const run = await start(path, "--data", "own")
  await run.run[Symbol.asyncDispose]()
  const key = join(path, "own", "identity.pem")
  assert.equal(run.data, join(path, "own"))
  writeFileSync(key, readFileSync(key, "utf8").slice(0, 60))
  await refused(["app.ts", "--data", "own"], 2, /identity\.pem holds no key of a server/)
})
