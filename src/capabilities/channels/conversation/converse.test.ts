import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { silentLog } from "../../../base/log.ts"
import { SeededRandom } from "../../../base/random.ts"
import type { ByteLink } from "../../../ninep/byte-link.ts"
import { encode } from "../../../ninep/codec.ts"
import { NinepStep } from "../../../ninep/step.ts"
import { Gate } from "../access/gate.ts"
import { Space } from "../core/space.ts"
import { ChannelTree } from "../files/channel-tree.ts"
import { converse } from "./converse.ts"
import type { Conversation } from "./converse.ts"

function conversation() {
  const clock = new FakeClock()
  const space = new Space({ clock, random: new SeededRandom(1) })
  const files = new ChannelTree({ space })
  const live = new Set<Conversation>()
  const owner = { name: "laptop", rules: undefined }
  const gate = new Gate({ open: false, strict: false, verify: () => owner, isValid: () => true })
  let isClosed = false
  const link: ByteLink = {
    onData: undefined,
    onDrain: undefined,
    onClose: undefined,
    write: () => true,
    pause: () => undefined,
    resume: () => undefined,
    close: () => (isClosed = true),
  }
  const facts = { peer: "10.0.0.1:5", isLocal: false }
  const treeFor = files.identifiedBy.bind(files)
  converse({ link, facts, gate, treeFor, live, step: new NinepStep(), clock, log: silentLog })
  const version = { type: "Tversion", tag: 0xffff, msize: 8192, version: "9P2000.L" } as const
  link.onData?.(encode(version, "9P2000"))
  return { clock, live, link, isClosed: () => isClosed }
}

function attach(link: ByteLink, aname: string): void {
  const message = { type: "Tattach", tag: 1, fid: 0, afid: 0xffff_ffff, uname: "ann", aname, uid: 1000 } as const
  link.onData?.(encode(message, "9P2000.L"))
}

test("who does not attach, or is not let in, does not keep his place", async () => {
  for (const tries of [0, 1]) {
    const { clock, live, link, isClosed } = conversation()
    if (tries > 0) attach(link, "")
    await clock.pass(30_000)
    assert.ok(isClosed())
    assert.equal(live.size, 0)
  }
})

test("who has attached may be silent for as long as he likes", async () => {
  const { clock, live, link } = conversation()
  attach(link, "rdv_token")
  await settle()
  assert.equal(clock.pending, 0)
  await clock.pass(100_000)
  assert.equal(live.size, 1)
  link.onClose?.(undefined)
  assert.equal(live.size, 0)
})
