/** A program in Go as an application, from outside: net/http, database/sql and peers as Go's own documentation has them. */

import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { cpSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { before, describe, test } from "node:test"
import type { TestContext } from "node:test"
import { fileURLToPath } from "node:url"
import { Hono } from "hono"
import { silentLog } from "../../src/base/log.ts"
import type { LogFields } from "../../src/base/log.ts"
import type { TabEnv } from "../../src/capabilities/tab/app/env.ts"
import { openNodeEngine } from "../../src/capabilities/tab/node/sqlite-engine.ts"
import { startTab } from "../../src/start-tab.ts"
import { goApp } from "../../src/tab-go.ts"
import type { GoApp, GoAppOptions } from "../../src/tab-go.ts"
import { RunningCommand, temporaryFolder } from "../kit/command.ts"
import { buildGo, copyGoScript, exerciseProgram, goServer, loadGoScript, noGo } from "../kit/go-program.ts"
import type { GoServer, GoServerOptions } from "../kit/go-program.ts"
import { eventually } from "../kit/raw-http.ts"
import { newKey, tabRelay } from "../kit/tab-relay.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** The first build on a machine compiles Go's library. */
describe("a program in Go", { skip: noGo, timeout: 300_000 }, () => {
  let program: Uint8Array<ArrayBuffer>
  before(async () => {
    await loadGoScript()
    program = exerciseProgram()
  })

  async function started(
    t: TestContext,
    options: GoAppOptions & Partial<GoServerOptions> = {},
  ): Promise<GoServer & { go: GoApp; failures: { event: string; fields: LogFields | undefined }[] }> {
    const { name, variables, ...rest } = options
    const go = goApp(program, { ...(name && { name }), ...(variables && { variables }) })
    const failures: { event: string; fields: LogFields | undefined }[] = []
    const log = { ...silentLog, error: (event: string, fields?: LogFields) => void failures.push({ event, fields }) }
    const server = await goServer({ app: go, log, ...rest })
    t.after(() => server.running.close(0))
    return { ...server, go, failures }
  }

  test("is formatted, without complaints of vet, and its own tests pass", () => {
    const cwd = fileURLToPath(new URL("../../interop/go-tab", import.meta.url))
    const examples = "../../examples/go-notes"
    const run = (args: readonly string[], env = {}, at = cwd) => {
      const command = args[0] === "gofmt" ? args : ["go", ...args]
      const { stdout, stderr, status } = spawnSync(command[0] as string, command.slice(1), {
        cwd: at,
        encoding: "utf8",
        env: { ...process.env, GOPROXY: "off", ...env },
      })
      assert.equal(status, 0, stdout + stderr)
      return stdout
    }
    assert.equal(run(["gofmt", "-l", ".", examples]), "")
    run(["test", "."])
    run(["vet", "./..."], { GOOS: "js", GOARCH: "wasm" })
    run(["vet", "."], { GOOS: "js", GOARCH: "wasm" }, join(cwd, examples))
  })

  test("answers as net/http does: fields with many values, cookies, sniffed types, lengths, bare statuses", async (t) => {
    const { fetch } = await started(t)
    const answer = await fetch("/go/hello", { headers: { "x-name": "Grüße" } })
    assert.deepEqual(answer.headers.getSetCookie(), ["a=1", "b=2"])
    assert.equal(answer.headers.get("x-many"), "one, two")
    assert.equal(answer.headers.get("x-bytes"), "caf\u00e9")
    assert.equal(answer.headers.get("x-lines"), "a  b")
    assert.equal(answer.headers.get("content-type"), "text/plain; charset=utf-8")
    // A field's characters are bytes to HTTP, and so they are to Go.
    const body = Buffer.from(await answer.arrayBuffer())
    assert.equal(body.toString("latin1"), "hello Gr\u00fc\u00dfe\n")
    assert.equal(answer.headers.get("content-length"), `${body.length}`)
    for (const status of [204, 304]) {
      const bare = await fetch(`/go/status?is=${status}`)
      assert.deepEqual([bare.status, bare.body], [status, null])
    }
    assert.equal((await fetch("/go/status?is=418")).status, 418)
    const head = await fetch("/go/bytes?n=5000", { method: "HEAD" })
    assert.deepEqual([head.headers.get("content-length"), await head.text()], ["5000", ""])
    assert.equal((await fetch("/go/nothing")).status, 404)
  })

  test("gets requests as they came, knows who sent them, and is offered no connection to hijack", async (t) => {
    const { fetch, running } = await started(t, { name: "exercise", variables: { VARIABLE: "value" } })
    const info = async (response: Response) => (await response.json()) as Record<string, unknown>
    const post = await info(
      await fetch("/go/info?a=%20b&c", { method: "POST", body: "some text", headers: { "x-own": "1" } }),
    )
    assert.deepEqual(
      [post["method"], post["path"], post["query"], post["uri"], post["body"], post["host"]],
      ["POST", "/go/info", "a=%20b&c", "/go/info?a=%20b&c", "some text", "localhost"],
    )
    assert.deepEqual((post["header"] as Record<string, unknown>)["X-Own"], ["1"])
    assert.deepEqual([post["hijack"], post["flush"]], [false, true])
    assert.deepEqual([post["args"], post["variable"]], [["exercise"], "value"])
    assert.deepEqual(post["visitor"], { Kind: "own", Address: "", PeerName: "", PeerKey: "" })
    const request = new Request("http://localhost/go/info")
    const stranger = await info(await running.server.fetch(request, { kind: "public", address: "192.0.2.7" }))
    assert.deepEqual([stranger["remote"], stranger["length"]], ["192.0.2.7:0", 0])
    const peer = { kind: "peer", peer: { name: "bob", key: "k" } } as const
    const called = await info(await running.server.fetch(new Request("http://localhost/go/info"), peer))
    assert.deepEqual(called["visitor"], { Kind: "peer", Address: "", PeerName: "bob", PeerKey: "k" })
  })

  test("50 MB stream in and out with the right hash, and both at once", async (t) => {
    const { fetch, go } = await started(t)
    const bytes = 50_000_000
    const expected = createHash("sha256")
    const answer = await fetch("/go/hash", { method: "POST", body: noise(bytes, expected), duplex: "half" })
    assert.equal(await answer.text(), `${bytes} ${expected.digest("hex")}`)
    const got = createHash("sha256")
    let length = 0
    for await (const chunk of (await fetch(`/go/bytes?n=${bytes}`)).body as ReadableStream<Uint8Array>) {
      got.update(chunk)
      length += chunk.length
    }
    const piece = Uint8Array.from({ length: 100_000 }, (_, at) => at % 251)
    const same = createHash("sha256")
    for (let count = 0; count < bytes / piece.length; count++) same.update(piece)
    assert.deepEqual([length, got.digest("hex")], [bytes, same.digest("hex")])

    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const writer = writable.getWriter()
    const echo = await Promise.all([
      fetch("/go/echo", { method: "POST", body: readable, duplex: "half" }),
      writer.write(Buffer.from("one")),
    ]).then(([response]) => (response.body as ReadableStream<Uint8Array>).getReader())
    assert.equal(Buffer.from((await echo.read()).value ?? []).toString(), "one")
    await writer.write(Buffer.from("two"))
    assert.equal(Buffer.from((await echo.read()).value ?? []).toString(), "two")
    await writer.close()
    assert.equal((await echo.read()).done, true)
    assert.equal(go.status.running, 0)
  })

  test("memory stays flat: 128 MB in, 128 MB out, a cancelled answer of 1 GB; a slow reader stops the writer", async (t) => {
    const { fetch, text, go } = await started(t)
    const upload = await fetch("/go/hash", { method: "POST", body: noise(128 << 20), duplex: "half" })
    assert.match(await upload.text(), /^134217728 /)
    let length = 0
    for await (const chunk of (await fetch("/go/bytes?n=134217728")).body as ReadableStream<Uint8Array>) {
      length += chunk.length
    }
    assert.equal(length, 128 << 20)
    const ended = Number(await text("/go/ended"))
    const reader = ((await fetch("/go/bytes?n=1000000000")).body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    // Nobody reads on: whatever other requests let run, the writer does not.
    for (let count = 0; count < 20; count++) await text("/go/hello")
    const written = Number(await text("/go/written"))
    assert.ok(written < 2_000_000, `${written} bytes were written ahead`)
    await reader.cancel()
    await eventually("the handler has stopped", () => go.status.running === 0)
    assert.equal(Number(await text("/go/ended")), ended + 1)
    assert.ok(Number(await text("/go/written")) < 2_000_000)
    assert.ok(go.status.memoryBytes < 40e6, `${go.status.memoryBytes} bytes`)
    t.diagnostic(`${(go.status.memoryBytes / 1e6).toFixed(1)} MB`)
  })

  test("events arrive when they are flushed; a visitor who leaves ends the context", async (t) => {
    const { fetch, text, go } = await started(t)
    const events = ((await fetch("/go/events")).body as ReadableStream<Uint8Array>).getReader()
    for (let number = 1; number <= 3; number++) {
      assert.equal(Buffer.from((await events.read()).value ?? []).toString(), `data: ${number}\n\n`)
    }
    assert.equal((await events.read()).done, true)
    // While the answer is awaited, and while its body comes.
    const leave = new AbortController()
    const waiting = fetch("/go/forever", { signal: leave.signal })
    await eventually("it runs", () => go.status.running === 1)
    leave.abort()
    assert.equal((await waiting).status, 499)
    await eventually("it has ended", () => go.status.running === 0)
    const begun = await fetch("/go/forever?begin=1")
    await begun.body?.cancel()
    await eventually("that one too", () => go.status.running === 0)
    assert.equal(await text("/go/ended"), "2")
  })

  test("a panic is a 500 and a line with its place, or a broken body; the program goes on", async (t) => {
    const lines: unknown[] = []
    const error = (line: string, fields?: object) => void lines.push([line, fields])
    const ignore = () => undefined
    const { fetch, text, failures, go } = await started(t, {
      appLog: { debug: ignore, info: ignore, warn: ignore, error },
    })
    const failed = await fetch("/go/panic")
    assert.deepEqual([failed.status, await failed.text()], [500, "The application failed: panic: as asked for\n"])
    assert.match(String(failures[0]?.fields?.["at"]), /exercise\/main\.go:\d+\)$/)
    const late = await fetch("/go/panic-late")
    assert.equal(late.status, 200)
    await assert.rejects(late.text(), /panic: too late/)
    assert.match(JSON.stringify(lines), /panic: too late.*main\.go/)
    assert.equal((await fetch("/go/abort")).status, 500)
    assert.equal((await fetch("/go/short")).status, 500)
    assert.match(await text("/go/hello"), /^hello/)
    assert.equal(go.status.starts, 1)
  })

  test("a program that ends fails what runs and what it had not committed, and is started anew", async (t) => {
    const { fetch, text, go } = await started(t)
    for (const [path, starts] of [
      ["/go/exit", 1],
      ["/go/crash", 2],
    ] as const) {
      assert.equal(await text("/go/count"), "0")
      assert.equal(go.status.starts, starts)
      const open = await fetch("/go/leave")
      const reader = (open.body as ReadableStream<Uint8Array>).getReader()
      const ended = await fetch(path)
      assert.equal(ended.status, 500)
      assert.match(await ended.text(), /does not run any more: it ended with code [23]/)
      await assert.rejects(reader.read(), { code: "closed" })
    }
    assert.equal(await text("/go/count"), "0")
    const go2 = goApp(program, { variables: { FAIL: "1" } })
    await assert.rejects(goServer({ app: go2 }), {
      code: "usage",
      message: /did not come to serve: it ended with code 2/,
    })
    await assert.rejects(goServer({ app: goApp(new Uint8Array([1, 2, 3])) }), {
      code: "usage",
      message: /cannot be loaded/,
    })
  })

  test("database/sql: a rollback rolls back, a constraint forbids, types come back, contexts end what they began", async (t) => {
    const { fetch, text, go } = await started(t)
    const insert = async (word: string) => (await fetch(`/go/insert?text=${word}`)).status
    assert.equal(await text("/go/rollback?text=gone"), "1 0")
    assert.deepEqual([await insert("one"), await insert("one")], [201, 409])
    assert.match(await text("/go/insert?text=one"), /UNIQUE constraint failed: notes\.text/)
    assert.equal((await fetch("/go/pair?first=two&second=one")).status, 409)
    assert.equal(await text("/go/count"), "1")
    assert.equal((await fetch("/go/pair?first=two&second=three")).status, 201)
    assert.equal(await text("/go/count"), "3")
    assert.deepEqual(JSON.parse(await text("/go/kinds")), {
      whole: true,
      broken: 3,
      blob: "AP8=",
      made: true,
      truth: true,
      nothing: false,
      twice: true,
      form: "realtextblob",
      columns: ["b", "a", "a"],
      swapped: "ba",
    })
    assert.equal(await text("/go/many?n=300000"), "300000 45000150000")
    const said = JSON.parse(await text("/go/errors")) as Record<string, string>
    assert.deepEqual(
      [said["syntax"], said["null"], said["begin"], said["too few"], said["read only"]],
      ["usage", "exists", "usage", "usage", "usage"],
    )
    assert.match(said["named"] ?? "", /values have no names/)
    assert.match(said["too large"] ?? "", /uint64/)
    assert.deepEqual([said["cancelled"], said["waiting"]], ["context canceled", "context deadline exceeded"])
    // The visitor leaves in the middle of a transaction.
    const open = await fetch("/go/leave")
    await open.body?.cancel()
    await eventually("the handler has ended", () => go.status.running === 0)
    assert.equal(await text("/go/count"), "3")
  })

  test("100 handlers write at once, alone and in transactions: all of it is there", async (t) => {
    const { fetch, text, running } = await started(t)
    const jobs = Array.from({ length: 100 }, (_, at) => async () => {
      for (let round = 0; round < 3; round++) {
        const word = `${at}.${round}`
        const path = at % 3 === 0 ? `/go/pair?first=${word}&second=${word}-too` : `/go/insert?text=${word}`
        assert.equal((await fetch(path)).status, 201)
        if (at % 10 === 0) assert.equal(await text(`/go/rollback?text=${word}-not`), "1 0")
      }
    })
    await Promise.all(jobs.map((job) => job()))
    assert.equal(await text("/go/count"), `${34 * 3 * 2 + 66 * 3}`)
    // Statements by themselves share commits.
    const { commits, units } = running.sql.stats() as { commits: number; units: number }
    assert.ok(commits < units, `${commits} commits of ${units} units`)
  })

  test("with an Idempotency-Key a handler's writes happen once, and not at all when it fails", async (t) => {
    const { fetch, text } = await started(t)
    const keyed = (path: string, key: string) => fetch(path, { method: "POST", headers: { "idempotency-key": key } })
    const first = await keyed("/go/pair?first=a&second=b", "1")
    const again = await keyed("/go/pair?first=a&second=b", "1")
    assert.deepEqual([first.status, again.status, again.headers.get("idempotency-replayed")], [201, 201, "true"])
    assert.equal((await keyed("/go/insert-panic?text=c", "2")).status, 500)
    assert.equal(await text("/go/count"), "2")
    assert.equal((await keyed("/go/rollback?text=c", "3")).status, 200)
    assert.equal((await keyed("/go/insert?text=c", "4")).status, 201)
    assert.equal(await text("/go/count"), "3")
  })

  test("files and the identity are the server's", async (t) => {
    const lines: unknown[] = []
    const info = (line: string, fields?: object) => void lines.push([line, fields])
    const ignore = () => undefined
    const { fetch, text, go } = await started(t, { appLog: { debug: ignore, info, warn: ignore, error: ignore } })
    const hash = createHash("sha256")
    const kept = await fetch("/go/blob", {
      method: "POST",
      body: noise(3_000_000, hash),
      duplex: "half",
      headers: { "content-type": "image/png" },
    })
    const id = hash.digest("base64url")
    assert.deepEqual(await kept.json(), { ID: id, Bytes: 3_000_000, Type: "image/png" })
    const read = await fetch(`/go/blob?id=${id}`)
    assert.equal(read.headers.get("content-type"), "image/png")
    assert.equal(
      createHash("sha256")
        .update(await read.bytes())
        .digest("base64url"),
      id,
    )
    assert.equal(await text(`/go/blob?id=${id}`, { method: "DELETE" }), "true")
    assert.equal((await fetch(`/go/blob?id=${id}`)).status, 404)
    const { self, right, wrong } = (await (await fetch("/go/self")).json()) as Record<string, Record<string, unknown>>
    assert.deepEqual([self?.["Name"], self?.["URL"], right, wrong], ["alice", "http://alice.localhost/", true, false])
    assert.deepEqual(lines, [["a line", { number: "7" }]])
    assert.equal(go.status.running, 0)
  })

  test("beside a Hono application, under a path, and two programs in one place", async (t) => {
    const programs = [goApp(program, { name: "one" }), goApp(program, { name: "two" })]
    const app = new Hono<{ Bindings: TabEnv }>()
    app.get("/", (c) => c.text("Hono"))
    for (const go of programs) app.all(`/go${programs.indexOf(go)}/*`, (c) => go.fetch(inside(c.req.raw), c.env))
    app.all("/go/*", (c) => (programs[0] as GoApp).fetch(c.req.raw, c.env))
    const { text, running } = await goServer({ app: { fetch: (request, env) => app.fetch(request, env) } })
    t.after(() => running.close(0))
    assert.equal(await text("/"), "Hono")
    assert.match(await text("/go/hello"), /^hello/)
    const names = [await text("/go0/info"), await text("/go1/info")].map(
      (info) => (JSON.parse(info) as { args: string[] }).args,
    )
    assert.deepEqual(names, [["one"], ["two"]])
    assert.match(await text("/go/info"), /"Kind":"own"/)
  })

  test("rdv tab run serves the example as it is built by its document", async () => {
    using folder = temporaryFolder()
    for (const file of ["app.ts", "main.go", "go.mod"]) {
      cpSync(join(root, "examples/go-notes", file), join(folder.path, file))
    }
    copyGoScript(join(folder.path, "wasm_exec.js"))
    buildGo("examples/go-notes", ".", join(folder.path, "notes.wasm"))
    const args = ["tab", "run", join(folder.path, "app.ts"), "--json"]
    const run = new RunningCommand(args, { data: folder.path })
    await using _ = run
    const { url } = (await run.event("listening")) as { url: string }
    assert.match(await (await fetch(url)).text(), /Go in a tab/)
    const add = async () =>
      (await fetch(`${url}notes/add`, { method: "POST", body: new URLSearchParams({ text: "a note" }) })).status
    // The second is a constraint's error: its kind comes through, though server and application are bundled apart.
    assert.deepEqual([await add(), await add()], [200, 409])
    const notes = await fetch(`${url}notes`, { headers: { accept: "application/json" } })
    assert.deepEqual(
      ((await notes.json()) as { text: string }[]).map(({ text }) => text),
      ["a note"],
    )
  })

  test("killed three times at random, it loses nothing that it has answered", async (t) => {
    using folder = temporaryFolder()
    const [file, database] = [join(folder.path, "exercise.wasm"), join(folder.path, "data.sqlite")]
    writeFileSync(file, program)
    const acknowledged = new Set<string>()
    for (let round = 0; round < 3; round++) {
      const before = acknowledged.size
      await writeAndDie([file, database], acknowledged, 20 + Math.random() * 150)
      assert.ok(acknowledged.size > before, "nothing was written")
      const engine = openNodeEngine(database)
      const texts = new Set(engine.all("SELECT text FROM notes", []).map((row) => row["text"] as string))
      assert.equal(engine.all("PRAGMA integrity_check", [])[0]?.["integrity_check"], "ok")
      engine.close()
      assert.deepEqual(
        [...acknowledged].filter((text) => !texts.has(text)),
        [],
      )
    }
    t.diagnostic(`${acknowledged.size} acknowledged, none lost`)
  })

  test("two programs call each other through a relay: bodies stream both ways, nobody is unreachable's error", async (t) => {
    const relay = await tabRelay(t)
    const open = async (name: string) => {
      const go = goApp(program, { name })
      const wish = Promise.withResolvers<unknown>()
      const ignore = () => undefined
      const tab = await startTab({
        engine: openNodeEngine(":memory:"),
        app: go,
        pair: await newKey(),
        port: 0,
        public: {
          relay: relay.at,
          name,
          token: undefined,
          app: undefined,
          domain: "localhost",
          onExposed: wish.resolve,
        },
        log: silentLog,
        appLog: { debug: ignore, info: ignore, warn: ignore, error: ignore },
      })
      t.after(() => tab.stop())
      await wish.promise
      const fetch: GoServer["fetch"] = (path, init) =>
        tab.running.server.fetch(new Request(`http://localhost${path}`, init), { kind: "own" })
      return { go, fetch }
    }
    const [alice, bob] = [await open("alice"), await open("bob")]
    const hello = await alice.fetch("/go/peer?name=bob&path=/go/hello")
    assert.deepEqual([hello.headers.get("x-cookie"), await hello.text()], ["a=1, b=2", "hello a peer\n"])
    const info = (await (await bob.fetch("/go/peer?name=alice&path=/go/info")).json()) as {
      visitor: { PeerName: string }
    }
    assert.equal(info.visitor.PeerName, "bob")
    const hash = createHash("sha256")
    const body = noise(5_000_000, hash)
    const sent = await alice.fetch("/go/peer?name=bob&path=/go/hash", { method: "POST", body, duplex: "half" })
    assert.equal(await sent.text(), `5000000 ${hash.digest("hex")}`)
    const came = await alice.fetch("/go/peer?name=bob&path=/go/bytes?n=5000000")
    assert.equal((await came.bytes()).length, 5_000_000)
    const events = await alice.fetch("/go/peer?name=bob&path=/go/events")
    assert.match(await events.text(), /data: 1\n\ndata: 2\n\ndata: 3/)
    // Whoever leaves here is gone there too.
    const left = await alice.fetch("/go/peer?name=bob&path=/go/bytes?n=1000000000")
    await left.body?.cancel()
    await eventually("bob has stopped", () => bob.go.status.running === 0 && alice.go.status.running === 0)
    assert.equal((await alice.fetch("/go/peer?name=nobody&path=/")).status, 502)
  })

  /** A request for a program under another path. */
  function inside(request: Request): Request {
    return new Request(request.url.replace(/\/go\d\//, "/go/"), request)
  }

  /** Kills it `ms` after its first line. */
  async function writeAndDie(args: readonly string[], acknowledged: Set<string>, ms: number): Promise<void> {
    const writer = fileURLToPath(new URL("../kit/run-go-writer.ts", import.meta.url))
    const child = spawn(process.execPath, [writer, ...args], { stdio: ["ignore", "pipe", "inherit"] })
    const ended = once(child, "close")
    let rest = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) acknowledged.add(line)
    })
    await Promise.race([once(child.stdout, "data"), ended])
    await new Promise((resolve) => setTimeout(resolve, ms))
    child.kill("SIGKILL")
    await ended
  }

  /** So many bytes, made as they are asked for. */
  function noise(bytes: number, hash?: ReturnType<typeof createHash>): ReadableStream<Uint8Array> {
    let left = bytes
    return new ReadableStream({
      pull(controller) {
        const piece = new Uint8Array(Math.min(left, 70_001)).fill(left % 256)
        left -= piece.length
        hash?.update(piece)
        controller.enqueue(piece)
        if (left === 0) controller.close()
      },
    })
  }
})
