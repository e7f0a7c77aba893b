import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { once } from "node:events"
import { request } from "node:http"
import type { IncomingMessage } from "node:http"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { text } from "node:stream/consumers"
import { after, test } from "node:test"
import { openStatusSocket, readStatuses } from "./status-socket.ts"

const folder = mkdtempSync(join(tmpdir(), "rdv-status-"))
after(() => rmSync(folder, { recursive: true, force: true }))
const windows = process.platform === "win32"
let count = 0
const freshState = () => join(folder, `state-${count++}`)

test("a process tells its status to its own user alone", async () => {
  const stateFolder = freshState()
  const socket = await openStatusSocket({ stateFolder, role: "relay", read: () => ({ answer: 42 }) })
  const told = { role: "relay", pid: process.pid, path: socket.path, status: { answer: 42 } }
  assert.deepEqual(await readStatuses(stateFolder), [told])
  if (!windows) {
    assert.equal(statSync(socket.path).mode & 0o777, 0o600)
    assert.equal(statSync(dirname(socket.path)).mode & 0o777, 0o700)
  }
  await socket.close()
  assert.deepEqual(await readStatuses(stateFolder), [])
  assert.deepEqual(readdirSync(join(stateFolder, "run")), [])
})

test("a process may answer more than its status, and take its time for it", { skip: windows }, async () => {
  const stateFolder = freshState()
  const socket = await openStatusSocket({
    stateFolder,
    role: "balance",
    read: () => Promise.resolve({ late: true }),
    handle: (incoming, answer) => void answer.end(`${incoming.method} ${incoming.url}`),
  })
  assert.deepEqual((await readStatuses(stateFolder))[0]?.status, { late: true })
  const [answer] = await once(request({ socketPath: socket.path, path: "/more", method: "POST" }).end(), "response")
  assert.equal(await text(answer as IncomingMessage), "POST /more")
  await socket.close()
})

test("a status that cannot be read says why", async () => {
  const stateFolder = freshState()
  const read = () => Promise.reject(new Error("not now"))
  const socket = await openStatusSocket({ stateFolder, role: "balance", read })
  assert.deepEqual((await readStatuses(stateFolder))[0]?.status, { error: "not now" })
  await socket.close()
})

test("where nothing ever ran there is nothing to find", async () => {
  assert.deepEqual(await readStatuses(freshState()), [])
})

test("a folder that others could enter is closed to them", { skip: windows }, async () => {
  const stateFolder = freshState()
  mkdirSync(join(stateFolder, "run"), { recursive: true })
  chmodSync(join(stateFolder, "run"), 0o777)
  const socket = await openStatusSocket({ stateFolder, role: "agent", read: () => ({}) })
  assert.equal(statSync(join(stateFolder, "run")).mode & 0o777, 0o700)
  await socket.close()
})

test("what a dead process left is removed", { skip: windows }, async () => {
  const stateFolder = freshState()
  mkdirSync(join(stateFolder, "run"), { recursive: true })
  const stale = join(stateFolder, "run", "agent-1.sock")
  const code = `require("node:net").createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, "SIGKILL"))`
  spawnSync(process.execPath, ["--eval", code])
  assert.ok(statSync(stale).isSocket())
  assert.deepEqual(await readStatuses(stateFolder), [])
  assert.equal(statSync(stale, { throwIfNoEntry: false }), undefined)
})

test("a process that holds its socket and does not answer is told as such, and stays", { skip: windows }, async () => {
  const stateFolder = freshState()
  mkdirSync(join(stateFolder, "run"), { recursive: true })
  const silent = createServer(() => undefined)
  await new Promise<void>((resolve) => silent.listen(join(stateFolder, "run", "local-7.sock"), resolve))
  const path = join(stateFolder, "run", "local-7.sock")
  assert.deepEqual(await readStatuses(stateFolder, 50), [{ role: "local", pid: 7, path, status: undefined }])
  assert.deepEqual(readdirSync(join(stateFolder, "run")), ["local-7.sock"])
  silent.close()
})

test(
  "a folder whose path is too long for a socket is replaced by a private one elsewhere",
  { skip: windows },
  async () => {
    const stateFolder = join(freshState(), "x".repeat(120))
    const socket = await openStatusSocket({ stateFolder, role: "relay", read: () => ({ far: true }) })
    assert.ok(socket.path.length <= 100)
    assert.deepEqual((await readStatuses(stateFolder))[0]?.status, { far: true })
    await socket.close()
    rmSync(dirname(socket.path), { recursive: true })
  },
)
