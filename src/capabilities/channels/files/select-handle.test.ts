import assert from "node:assert/strict"
import { test } from "node:test"
import { ChannelFiles } from "../../../../test/kit/channel-files.ts"
import { OpenFile } from "../../../../test/kit/open-file.ts"
import { utf8Decode } from "../../../base/text.ts"
import { readSelectSet } from "./select-sets.ts"
import { identifyAnyone } from "./identity.ts"

test("a folder that nobody is let into hides its channels from selects too", async () => {
  const files = await ChannelFiles.make({
    identify: async (request) => ({ ...(await identifyAnyone(request)), admin: false }),
  })
  files.space.makeFolder("/own", { uid: 7, permissions: 0o700 })
  files.space.create("/own/jobs", { permissions: 0o666 }, { size: 1 })
  const select = await files.open("/select/clone", "rw")
  await select.write("/own/jobs!x\n")
  assert.equal(await select.tread(0, 100).outcome, "EACCES")
})

test("what is written into a select takes memory until it is closed", async () => {
  const files = await ChannelFiles.make({ limits: { messageBytes: 30 } })
  const select = await files.open("/select/clone", "rw")
  await select.write("timeout 5s\n")
  assert.equal(files.space.messageBytes, 11)
  await assert.rejects(select.write("timeout 5s\ntimeout 5s\n"), /ENOBUFS/)
  await select.close()
  assert.equal(files.space.messageBytes, 0)
})

test("clone: write the set, line by line, and read the choice; one set is one choice", async () => {
  const files = await two()
  const file = await files.open("/select/clone", "rw")
  await file.write("/a?\n")
  await file.write("/b!answer\n")
  const asked = file.tread(file.position, 4096)
  assert.equal(asked.state, "waiting")
  const sent = (await files.open("/a", "w")).twrite("hello")
  assert.equal(text(asked.state), "/a?\thello")
  assert.equal(sent.state, "waiting", "nobody has proved that it is there")
  file.position += "/a?\thello".length
  assert.equal(await file.read(), "")
  assert.equal(sent.state, "ok")
  assert.equal(await file.read(), "")
  await file.write("/b!again\n")
  const choice = file.tread(file.position, 4096)
  assert.equal(await files.text("/b.d/next"), "again")
  assert.equal(text(choice.state), "/b!\n")
  await file.close()
  const { readers, writers } = files.space.channel("/a").stats()
  assert.deepEqual([readers, writers], [0, 1])
})

test("a set under a name is there for the next who opens it: printf > x, then cat x", async () => {
  const files = await two()
  await files.write("/select/work", "/a?\n/b?\n")
  for (const [path, message] of [
    ["/a", "one"],
    ["/b", "two"],
  ] as const) {
    const writer = await files.open(path, "w")
    const sent = writer.twrite(message)
    assert.equal(await files.text("/select/work"), `${path}?\t${message}`)
    assert.equal(sent.state, "ok")
  }
  await assert.rejects(files.text("/select/other"), /EINVAL/)
})

test("default and timeout take nothing", async () => {
  const files = await two()
  await files.write("/select/x", "/a?\n/b!y\ndefault\n")
  assert.equal(await files.text("/select/x"), "default\n")
  const file = await files.open("/select/clone", "rw")
  await file.write("/a?\ntimeout 5s\n")
  const asked = file.tread(file.position, 100)
  files.clock.advance(4_999)
  assert.equal(asked.state, "waiting")
  files.clock.advance(1)
  assert.equal(text(asked.state), "timeout\n")
  assert.equal(files.clock.pending, 0)
  assert.equal(files.space.channel("/a").stats().waitingReceivers, 0)
})

test("an abandoned select takes nothing: flushed, closed, or its connection lost", async () => {
  const files = await two()
  const arm = async () => {
    const file = await files.open("/select/clone", "rw")
    await file.write("/a?\n/b!x\n")
    return { file, asked: file.tread(file.position, 100) }
  }
  const [flushed, closed, lost] = [await arm(), await arm(), await arm()]
  assert.equal(flushed.asked.flush(), false)
  await closed.file.close()
  await lost.file.close(true)
  const { waitingReceivers, readers } = files.space.channel("/a").stats()
  assert.deepEqual([waitingReceivers, readers], [0, 0])
  assert.equal(files.space.channel("/b").stats().waitingSenders, 0)
})

test("a choice whose connection is lost before the proof goes to the next receiver", async () => {
  const files = await two()
  const file = await files.open("/select/clone", "rw")
  await file.write("/a?\n")
  const asked = file.tread(file.position, 100)
  const sent = (await files.open("/a", "w")).twrite("job")
  assert.equal(text(asked.state), "/a?\tjob")
  await file.close(true)
  assert.equal(sent.state, "waiting")
  assert.equal(await files.text("/a.d/next"), "job")
  assert.equal(sent.state, "ok")
})

test("sets with mistakes are refused when they are written, or when they are read at the latest", async () => {
  const files = await two()
  const file = await files.open("/select/clone", "rw")
  for (const wrong of ["a?\n", "/a\n", "timeout soon\n", "/a?x\n"])
    await assert.rejects(file.write(wrong), /EINVAL/, wrong)
  await assert.rejects(file.read(), /EINVAL/)
  await file.write("/missing?\n")
  await assert.rejects(file.read(), /ENOENT/)
  files.space.channel("/a").close()
  const other = await files.open("/select/clone", "rw")
  await other.write("/a!x\n")
  await assert.rejects(other.read(), /EPIPE/)
})

test("whoever may not receive or send may not select so", async () => {
  const files = await ChannelFiles.make({
    identify: ({ user }) => ({
      name: user.name,
      uid: user.uid ?? 1,
      gid: 1,
      groups: [],
      admin: false,
      prefix: "/",
      mayReceive: () => true,
      maySend: () => true,
    }),
  })
  files.space.create("/a", { permissions: 0o600, uid: 7 })
  const root = await files.tree.attach({ user: { name: "bob", uid: 8 }, aname: "" })
  for (const line of ["/a?\n", "/a!x\n"]) {
    const file = await OpenFile.open(root, "/select/clone", "rw")
    await file.write(line)
    await assert.rejects(file.read(), /EACCES/)
  }
})

test("a payload has escapes for newline, TAB and backslash", () => {
  const { cases } = readSelectSet("/a!x\\n\\ty\\\\n!?\n/b ?\n/c!\n")
  assert.deepEqual(
    cases.map(({ path, bytes }) => [path, bytes === undefined ? undefined : utf8Decode(bytes)]),
    [
      ["/a", "x\n\ty\\n!?"],
      ["/b ", undefined],
      ["/c", ""],
    ],
  )
})

async function two(): Promise<ChannelFiles> {
  const files = await ChannelFiles.make()
  files.space.create("/a")
  files.space.create("/b")
  return files
}

function text(state: unknown): unknown {
  return state instanceof Uint8Array ? utf8Decode(state) : state
}
