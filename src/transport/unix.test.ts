import assert from "node:assert/strict"
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { spawnSync } from "node:child_process"
import { after, describe, test } from "node:test"
import type { Link } from "../mux/link.ts"
import { linkSuite } from "../../test/suites/link-suite.ts"
import { dialUnix, listenUnix } from "./unix.ts"

const folder = mkdtempSync(join(tmpdir(), "rdv-unix-"))
after(() => rmSync(folder, { recursive: true, force: true }))
let count = 0
const nextPath = () => join(folder, `${count++}.sock`)

linkSuite("unix", async () => {
  const accepted = Promise.withResolvers<Link>()
  const listener = await listenUnix({ path: nextPath() }, accepted.resolve)
  const near = await dialUnix(listener.address, { timeoutMs: 2000 })
  return { near, far: await accepted.promise, cleanUp: () => listener.close() }
})

describe("unix", () => {
  test("only the same user may connect, and closing removes the file", async () => {
    const path = nextPath()
    const listener = await listenUnix({ path }, () => undefined)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    await listener.close()
    assert.equal(existsSync(path), false)
  })

  test("a socket file whose process died is replaced", async () => {
    const path = nextPath()
    const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`
    spawnSync(process.execPath, ["-e", script])
    assert.ok(existsSync(path), "the dead process left its file")
    const listener = await listenUnix({ path }, () => undefined)
    await listener.close()
  })

  test("a live socket is refused", async () => {
    const path = nextPath()
    const server = net.createServer((socket) => socket.destroy()).listen(path)
    await new Promise((resolve) => server.once("listening", resolve))
    await assert.rejects(
      listenUnix({ path }, () => undefined),
      { code: "in_use" },
    )
    server.close()
  })

  test("a file that is no socket is never removed", async () => {
    const path = nextPath()
    writeFileSync(path, "precious")
    await assert.rejects(
      listenUnix({ path }, () => undefined),
      { code: "usage", message: /is not a socket/ },
    )
    assert.ok(existsSync(path))
  })

  test("a path without a folder is refused with the mend", async () => {
    const path = join(folder, "missing", "x.sock")
    await assert.rejects(
      listenUnix({ path }, () => undefined),
      { code: "usage", message: /no such folder/ },
    )
  })

  test("nobody there is said in one line", async () => {
    await assert.rejects(dialUnix({ scheme: "unix", path: nextPath() }, { timeoutMs: 500 }), {
      code: "unreachable",
      message: /no such socket/,
    })
  })
})
