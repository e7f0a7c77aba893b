/** Who may use a channel server, over 9P: this machine, tokens in attach names, certificates, rights, limits, garbage. */

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { connect } from "node:net"
import { test } from "node:test"
import { TlsSecrets } from "../kit/tls-secrets.ts"
import { newToken, runCommand } from "../kit/command.ts"
import { until } from "../kit/processes.ts"
import { readText, RunningChannels, writeText } from "../kit/running-channels.ts"

/** An address of this machine that is not loopback. */
const outside = Object.values(networkInterfaces())
  .flat()
  .find((each) => each?.family === "IPv4" && !each.internal)?.address

test("this machine needs no token, over TCP and over a unix socket; a message passes between both", async () => {
  await using server = await RunningChannels.start({ listen: ["127.0.0.1:0", "unix:FOLDER/chan.sock"] })
  const one = await server.client()
  const other = await server.client({}, { path: server.addresses[1]?.replace("unix:", "") as string })
  await (await one.create("/jobs", 0o666, { write: true })).clunk()
  const [text] = await Promise.all([readText(other, "/jobs"), writeText(one, "/jobs", "hello")])
  assert.equal(text, "hello")
})

test("from elsewhere a token is wanted, and it says what may be done", { skip: outside === undefined }, async () => {
  await using server = await RunningChannels.start({
    listen: [":0"],
    flags: ["--channel", "/team/in", "--channel", "/other"],
  })
  const from = { host: outside as string, port: server.port }
  await assert.rejects(server.client({}, from), { errno: "EACCES" })
  await assert.rejects(server.client({ aname: `rdv_${"x".repeat(47)}` }, from), { errno: "EACCES" })
  const token = await newToken("worker", server.data, "--channels", "/team:r")
  const worker = await server.client({ aname: token }, from)
  const boss = await server.client()
  const [text] = await Promise.all([readText(worker, "/team/in"), writeText(boss, "/team/in", "work")])
  assert.equal(text, "work")
  await assert.rejects(writeText(worker, "/team/in", "no"), { errno: "EACCES" })
  await assert.rejects(readText(worker, "/other"), /EACCES|ENOENT|Permission|No such/)
  const below = await server.client({ aname: `${token}/team` }, from)
  const [again] = await Promise.all([readText(below, "/in"), writeText(boss, "/team/in", "more")])
  assert.equal(again, "more")
})

test("a revoked token ends the conversations that live on it", { skip: outside === undefined }, async () => {
  await using server = await RunningChannels.start({ listen: [":0"] })
  const token = await newToken("guest", server.data)
  let isOver = false
  const onClose = () => void (isOver = true)
  const guest = await server.client({ aname: token, onClose }, { host: outside as string, port: server.port })
  await readText(guest, "/ctl")
  assert.equal((await runCommand(["token", "rm", "guest"], { data: server.data })).code, 0)
  await until(() => isOver, "the end of the conversation")
})

test("--strict wants a token also from this machine", async () => {
  await using server = await RunningChannels.start({ flags: ["--strict"] })
  await assert.rejects(server.client(), { errno: "EACCES" })
  const token = await newToken("me", server.data)
  await readText(await server.client({ aname: token }), "/ctl")
})

test("under TLS a client certificate of the authority needs no token", { skip: outside === undefined }, async (t) => {
  const secrets = new TlsSecrets(t)
  const { cert, key } = secrets.server("server", ["localhost"])
  const flags = ["--tls-cert", cert, "--tls-key", key, "--client-ca", secrets.caFile]
  await using server = await RunningChannels.start({ listen: ["tls://:0"], flags })
  const trust = { ca: secrets.ca, host: outside as string, servername: "localhost" }
  await assert.rejects(server.tlsClient(trust), { errno: "EACCES" })
  const mine = secrets.signed("laptop", "client")
  const client = await server.tlsClient({ ...trust, cert: readFileSync(mine.cert), key: readFileSync(mine.key) })
  await readText(client, "/ctl")
})

test("permission bits hold between the users that a client asserts; numbers are mapped", async () => {
  await using server = await RunningChannels.start({ flags: ["--map-uid", "7=1000", "--map-uid", "0=65534"] })
  const owner = await server.client({ uid: 1000 })
  await (await owner.create("/mine", 0o600, { write: true })).clunk()
  const stranger = await server.client({ uid: 1001 })
  await assert.rejects(readText(stranger, "/mine"), { errno: "EACCES" })
  const root = await server.client({ uid: 0 })
  await assert.rejects(readText(root, "/mine"), { errno: "EACCES" }, "root is nobody here")
  const same = await server.client({ uid: 7 })
  const [text] = await Promise.all([readText(same, "/mine"), writeText(owner, "/mine", "secret")])
  assert.equal(text, "secret")
})

test("garbage, silence and half a greeting end the connection and nothing else", async () => {
  await using server = await RunningChannels.start()
  const client = await server.client()
  for (const bytes of [
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    Buffer.alloc(64, 0xff),
    Buffer.from([19, 0, 0, 0, 100, 1]),
  ]) {
    const socket = connect(server.port)
    socket.on("error", () => undefined)
    socket.resume()
    socket.end(bytes)
    await new Promise((done) => socket.once("close", done))
  }
  assert.match(await readText(client, "/ctl"), /^$/)
})

test("the memory for messages is bounded: who sends beyond it is told, and it is free again afterwards", async () => {
  await using server = await RunningChannels.start({ flags: ["--memory", "1MB", "--channel", "/a=100"] })
  const client = await server.client({ msize: 1_048_600 })
  const big = "x".repeat(400_000)
  await writeText(client, "/a", big)
  await writeText(client, "/a", big)
  await assert.rejects(writeText(client, "/a", big), /ENOBUFS|buffer space/)
  await client.remove("/a")
  await (await client.create("/b", 0o666, { write: true })).clunk()
  await Promise.all([writeText(client, "/b", big), readText(client, "/b")])
})

test("what is wrong on the command line is one line", async () => {
  await using server = await RunningChannels.start()
  const cases: [string[], RegExp][] = [
    [["--listen", `127.0.0.1:${server.port}`], /in use/],
    [["--set", "size=many"], /size/],
    [["--set", "colour=red"], /no setting "colour"/],
    [["--channel", "jobs"], /--channel "jobs" is no path/],
    [["--channel", "/a.d"], /ends in/],
    [["--client-ca", "x"], /--client-ca needs TLS/],
    [["--open", "--strict"], /exclude each other/],
    [["--map-uid", "a=b"], /--map-uid "a=b"/],
    [["--listen", "http://x:1"], /cannot be served/],
  ]
  const tries = cases.map(async ([flags, pattern]) => {
    const ended = await runCommand(["chan", "serve", "--listen", "127.0.0.1:0", ...flags], { data: server.data })
    assert.match(ended.stderr, pattern)
    assert.ok(ended.code === 2 || ended.code === 1, `${flags.join(" ")}: ${ended.code}`)
    assert.doesNotMatch(ended.stderr, /\n {4}at /)
  })
  await Promise.all(tries)
})
