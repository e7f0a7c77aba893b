import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { RdvError } from "../base/error.ts"
import { agentIdentity } from "./agent-identity.ts"
import { folders } from "./paths.ts"

test("Linux has the XDG folders, and relative ones are ignored", () => {
  const on = (env: Record<string, string>) => folders({ env, platform: "linux", home: "/home/a" })
  assert.deepEqual(on({}), {
    config: "/home/a/.config/rdv",
    data: "/home/a/.local/share/rdv",
    state: "/home/a/.local/state/rdv",
  })
  assert.equal(on({ XDG_STATE_HOME: "/s" }).state, "/s/rdv")
  assert.equal(on({ XDG_DATA_HOME: "relative" }).data, "/home/a/.local/share/rdv")
})

test("macOS and Windows have their own", () => {
  const mac = folders({ env: {}, platform: "darwin", home: "/Users/a" })
  assert.equal(mac.state, "/Users/a/Library/Application Support/rdv/state")
  const windows = folders({
    env: { APPDATA: "C:\\U\\a\\Roaming", LOCALAPPDATA: "C:\\U\\a\\Local" },
    platform: "win32",
    home: "C:\\U\\a",
  })
  assert.deepEqual(windows, {
    config: "C:\\U\\a\\Roaming\\rdv",
    data: "C:\\U\\a\\Local\\rdv\\data",
    state: "C:\\U\\a\\Local\\rdv\\state",
  })
})

test("RDV_DATA and RDV_CONFIG override every system's folders", () => {
  const env = { RDV_DATA: "/srv/rdv", RDV_CONFIG: "/etc/rdv", XDG_DATA_HOME: "/x" }
  for (const platform of ["linux", "darwin"]) {
    assert.deepEqual(folders({ env, platform, home: "/h" }), {
      config: "/etc/rdv",
      data: "/srv/rdv",
      state: "/srv/rdv/state",
    })
  }
})

test("an agent keeps its id, in a private file, and leaves no other file", (t) => {
  const home = mkdtempSync(join(tmpdir(), "rdv-id-"))
  t.after(() => rmSync(home, { recursive: true }))
  const state = join(home, "state")
  const id = agentIdentity(state)
  assert.match(id, /^[A-Za-z0-9_-]{22}$/)
  assert.equal(agentIdentity(state), id)
  assert.notEqual(agentIdentity(join(home, "other")), id)
  assert.deepEqual(readdirSync(state), ["agent-id"])
  assert.equal(readFileSync(join(state, "agent-id"), "utf8"), `${id}\n`)
  if (process.platform !== "win32") {
    assert.equal(statSync(join(state, "agent-id")).mode & 0o777, 0o600)
    assert.equal(statSync(state).mode & 0o777, 0o700)
  }
})

test("a damaged or unwritable id is one clear line with the mend", (t) => {
  const home = mkdtempSync(join(tmpdir(), "rdv-id-"))
  t.after(() => rmSync(home, { recursive: true }))
  const told = (message: RegExp) => (error: unknown) =>
    error instanceof RdvError && error.code === "usage" && message.test(error.message) && error.mend !== undefined
  writeFileSync(join(home, "agent-id"), "")
  assert.throws(() => agentIdentity(home), told(/agent-id is damaged/))
  assert.throws(() => agentIdentity(join(home, "agent-id")), told(/cannot be kept in .* \(ENOTDIR\)/))
})
