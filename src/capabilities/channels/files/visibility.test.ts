/** What a token with rights on some paths sees of the tree, and what its settings may reach. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { ChannelFiles } from "../../../../test/kit/channel-files.ts"
import { walkTo } from "../../../../test/kit/open-file.ts"
import { allowsPath, leadsToAllowed } from "../../../base/path-rights.ts"
import type { Node } from "../../../ninep/tree.ts"
import type { Identify } from "./identity.ts"

async function teamFiles(): Promise<ChannelFiles> {
  const rules = ["/team/in:rw", "/team/out:w"]
  const identify: Identify = () => ({
    name: "team",
    uid: 1000,
    gid: 1000,
    groups: [],
    admin: true,
    prefix: "/",
    mayReceive: (path) => allowsPath(rules, path, "receive"),
    maySend: (path) => allowsPath(rules, path, "send"),
    maySee: (path) => leadsToAllowed(rules, path),
  })
  const files = await ChannelFiles.make({ identify })
  files.space.makeFolder("/team")
  for (const name of ["/team/in", "/team/out", "/team/secret", "/other"]) files.space.create(name)
  return files
}

test("a token sees what it may use, and the folders on the way", async () => {
  const files = await teamFiles()
  assert.deepEqual(await names(files.root), ["ctl", "select", "team"])
  assert.deepEqual(await names(await walkTo(files.root, "/team")), ["in", "in.d", "out", "out.d"])
  for (const path of ["/other", "/other.d/stat", "/team/secret", "/team/secret.d/ctl"]) {
    await assert.rejects(files.open(path), /ENOENT/)
  }
  assert.doesNotMatch(await files.text("/ctl"), /other|secret/)
  await assert.rejects(files.write("/ctl", "/other 5"), /ENOENT/)
})

test("a dead-letter channel is one that whoever sets it may send to", async () => {
  const files = await teamFiles()
  await assert.rejects(files.write("/team/in.d/ctl", "dead-letter /other"), /EACCES/)
  await assert.rejects(files.write("/ctl", "/team/in dead-letter /other"), /EACCES/)
  await files.write("/team/in.d/ctl", "dead-letter /team/out")
  await files.write("/ctl", "/team/in dead-letter -")
})

test("the name of something that every object has is no setting", async () => {
  const files = await teamFiles()
  for (const line of ["constructor 1", "toString"]) {
    await assert.rejects(files.write("/team/in.d/ctl", line), /EINVAL/)
  }
})

async function names(node: Node): Promise<string[]> {
  const handle = await node.open({ read: true, write: false, truncate: false, append: false })
  return ((await handle.list?.()) ?? []).map(({ name }) => name)
}
