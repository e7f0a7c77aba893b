/** `rdv chan proxy` and `rdv chan serve --union` as processes: killed servers, cut and silent networks, foreign servers. */

import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { userInfo } from "node:os"
import { join } from "node:path"
import { describe, it } from "node:test"
import { NinepClient } from "../../src/ninep/client.ts"
import type { ConnectOptions } from "../../src/ninep/client.ts"
import { socketBytes } from "../kit/byte-links.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import { assertOneLine, RunningCommand, runCommand, temporaryFolder } from "../kit/command.ts"
import { diodMissing } from "../kit/diod.ts"
import { until } from "../kit/processes.ts"

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const bytes = (from: string) => new Uint8Array(Buffer.from(from))

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function client(port: number, options: Partial<ConnectOptions> = {}): Promise<NinepClient> {
  const socket = connect({ port, host: "127.0.0.1" })
  await once(socket, "connect")
  return NinepClient.connect({ link: socketBytes(socket), uid: userInfo().uid, user: userInfo().username, ...options })
}

interface RunningProxy extends AsyncDisposable {
  readonly port: number
  readonly command: RunningCommand
}

async function startProxy(data: string, raddr: string, ...flags: string[]): Promise<RunningProxy> {
  const words = ["chan", "proxy", "--json", "-laddr", "127.0.0.1:0", "-raddr", raddr, "--dead-after", "1s"]
  const command = new RunningCommand([...words, ...flags], { data })
  const { addresses } = await command.event("listening")
  const port = Number((addresses as string[])[0]?.split(":").at(-1))
  return { port, command, [Symbol.asyncDispose]: () => command[Symbol.asyncDispose]() }
}

async function startServer(data: string, port: number, ...flags: string[]): Promise<RunningCommand> {
  const words = ["chan", "serve", "--json", "--listen", `127.0.0.1:${port}`]
  const command = new RunningCommand([...words, ...flags], { data })
  await command.event("listening")
  return command
}

/** On a port, because it has to come back at the same one. */
async function startDiod(folder: string, port: number): Promise<ChildProcess> {
  const words = ["-f", "-n", "-l", `127.0.0.1:${port}`, "-e", folder, "-S", "-U", userInfo().username]
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` }
  const child = spawn("diod", words, { stdio: "ignore", env })
  await until(() => answers(port), "diod listens")
  return child
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" })
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit")
  child.kill("SIGKILL")
  await gone
}

describe("rdv chan proxy before a 9P server that knows nothing of us", { skip: diodMissing }, () => {
  it("reads and writes files through its deaths, and finds out by itself what it is", async () => {
    using data = temporaryFolder()
    const folder = join(data.path, "served")
    mkdirSync(folder)
    const content = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251))
    writeFileSync(join(folder, "big"), content)
    writeFileSync(join(folder, "gone"), "here")
    const port = await freePort()
    let diod = await startDiod(folder, port)
    try {
      await using proxy = await startProxy(data.path, `127.0.0.1:${port}`)
      const local = await client(proxy.port, { aname: folder })
      await proxy.command.says(/upstream\.found.*over=direct/)
      const big = await local.open("big", { read: true })
      const gone = await local.open("gone", { read: true })
      const out = await local.create("out", 0o644, { write: true })
      const read: Uint8Array[] = []
      let at = 0
      for (let round = 0; at < content.length; round++) {
        if (round % 10 === 5) await kill(diod)
        const reading = big.read(at, 10_000)
        const writing = out.write(at, content.subarray(at, at + 10_000))
        if (round % 10 === 5) {
          rmSync(join(folder, "gone"), { force: true })
          diod = await startDiod(folder, port)
        }
        const part = await reading
        await writing
        read.push(part)
        at += 10_000
      }
      assert.deepEqual(Buffer.concat(read), content)
      assert.deepEqual(readFileSync(join(folder, "out")), content)
      await assert.rejects(gone.read(0, 10), { errno: "ENOENT" })
      assert.deepEqual((await local.list("/")).map(({ name }) => name).sort(), ["big", "out"])
      local.close()
    } finally {
      await kill(diod)
    }
  })

  it("notices a connection that has gone silent", async () => {
    using data = temporaryFolder()
    const folder = join(data.path, "served")
    mkdirSync(folder)
    writeFileSync(join(folder, "file"), "content")
    const port = await freePort()
    const diod = await startDiod(folder, port)
    const chaos = await chaosProxy({ target: { port } })
    try {
      await using proxy = await startProxy(data.path, `tcp://127.0.0.1:${chaos.port}`)
      const local = await client(proxy.port, { aname: folder })
      const file = await local.open("file", { read: true })
      chaos.blackHole(true)
      assert.equal(text(await file.read(0, 100)), "content")
      await proxy.command.says(/upstream\.lost.*does not answer any more/)
      local.close()
    } finally {
      await chaos.close()
      await kill(diod)
    }
  })

  it("is bound into a channel server's tree", async () => {
    using data = temporaryFolder()
    const folder = join(data.path, "served")
    mkdirSync(folder)
    writeFileSync(join(folder, "file"), "content")
    const port = await freePort()
    const diod = await startDiod(folder, port)
    const at = await freePort()
    const server = await startServer(data.path, at, "--union", `/files=tcp://127.0.0.1:${port}${folder}`)
    try {
      const local = await client(at)
      const file = await local.open("/files/file", { read: true })
      assert.equal(text(await file.readAll(100)), "content")
      const made = await local.create("/files/made", 0o600, { write: true })
      await made.writeAll(bytes("new"))
      await made.clunk()
      assert.equal(readFileSync(join(folder, "made"), "utf8"), "new")
      assert.deepEqual((await local.list("/files")).map(({ name }) => name).sort(), ["file", "made"])
      local.close()
    } finally {
      await server[Symbol.asyncDispose]()
      await kill(diod)
    }
  })
})

describe("rdv chan proxy before a channel server", () => {
  it("delivers each message once through cuts and silence, while the server lives", async () => {
    using data = temporaryFolder()
    const port = await freePort()
    await using server = await startServer(data.path, port, "--channel", "/jobs")
    const chaos = await chaosProxy({ target: { port } })
    await using proxy = await startProxy(data.path, `127.0.0.1:${chaos.port}`)
    const [sender, receiver] = [await client(proxy.port), await client(proxy.port)]
    await proxy.command.says(/upstream\.found.*over=session/)
    const writer = await sender.open("/jobs.d/send", { write: true })
    const reader = await receiver.open("/jobs.d/recv", { read: true })
    const got: string[] = []
    const count = 60
    const receiving = (async () => {
      for (let at = 0; got.length < count;) {
        const part = await reader.read(at)
        if (part.length > 0) got.push(text(part))
        at += part.length
      }
      // The last one is proven by this.
      await reader.clunk()
    })()
    for (let number = 0; number < count; number++) {
      const writing = writer.write(0, bytes(`message ${number}`))
      if (number % 12 === 3) chaos.cutAll("rst")
      if (number === 30) chaos.blackHole(true)
      await writing
    }
    await receiving
    assert.deepEqual(
      got,
      Array.from({ length: count }, (_, number) => `message ${number}`),
    )
    assert.doesNotMatch(proxy.command.stderr, /upstream\.lost/)
    for (const each of [sender, receiver]) each.close()
    await chaos.close()
    void server
  })

  it("goes on with the next server after the first one was killed", async () => {
    using data = temporaryFolder()
    const port = await freePort()
    let server = await startServer(data.path, port, "--channel", "/jobs")
    try {
      await using proxy = await startProxy(data.path, `rdv://127.0.0.1:${port}`)
      const [sender, receiver] = [await client(proxy.port), await client(proxy.port)]
      const reader = await receiver.open("/jobs.d/recv", { read: true })
      const reading = reader.read(0)
      const put = await sender.open("/jobs.d/put", { write: true })
      await put.write(0, bytes("written before, "))
      server.kill("SIGKILL")
      await server.ended
      await proxy.command.says(/session\.down/)
      const writing = put.write(16, bytes("written while away"))
      server = await startServer(data.path, port, "--channel", "/jobs")
      await writing
      const closing = put.clunk()
      assert.equal(text(await reading), "written before, written while away")
      assert.equal((await reader.read(34)).length, 0)
      await closing
      for (const each of [sender, receiver]) each.close()
    } finally {
      await server[Symbol.asyncDispose]()
    }
  })

  it("refuses what would let strangers in, in one line", async () => {
    using data = temporaryFolder()
    const words = (...flags: string[]) => runCommand(["chan", "proxy", ...flags], { data: data.path })
    assertOneLine(await words("-laddr", "0.0.0.0:1", "-raddr", "a:1"), 2, /Every machine.*--open/)
    assertOneLine(await words("-laddr", "127.0.0.1:1"), 2, /--raddr is missing/)
    assertOneLine(await words("-raddr", "a:1"), 2, /--laddr is missing/)
    assertOneLine(await words("-laddr", "https://a", "-raddr", "a:1"), 2, /cannot listen/)
  })
})

describe("rdv chan serve --union", () => {
  it("makes another server's channels its own, with their rendezvous", async () => {
    using data = temporaryFolder()
    const [a, b] = [await freePort(), await freePort()]
    await using other = await startServer(data.path, b, "--channel", "/jobs")
    await using server = await startServer(data.path, a, "--union", `/team-b=127.0.0.1:${b}`)
    const [here, there] = [await client(a), await client(b)]
    const writer = await here.open("/team-b/jobs.d/send", { write: true })
    let isSent = false
    const writing = writer.write(0, bytes("across")).then(() => (isSent = true))
    const reader = await there.open("/jobs.d/recv", { read: true })
    assert.equal(text(await reader.read(0)), "across")
    assert.equal(isSent, false)
    assert.equal((await reader.read(6)).length, 0)
    await writing
    const bad = await runCommand(["chan", "serve", "--union", "team-b=x:1"], { data: data.path })
    assertOneLine(bad, 2, /binds nothing/)
    for (const each of [here, there]) each.close()
    void [other, server]
  })
})
