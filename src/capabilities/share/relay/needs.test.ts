import assert from "node:assert/strict"
import { test } from "node:test"
import { rawContent, shareRig } from "../../../../test/kit/share-relay-rig.ts"
import type { RawMember } from "../../../../test/kit/share-relay-rig.ts"

function lastNeed(member: RawMember): boolean | undefined {
  const told = member.messages.filter((message) => message.do === "needed")
  return told.at(-1)?.needed
}

test("the last holders of what somebody lacks are not let go because of each other", async (t) => {
  const rig = await shareRig(t)
  const sender = await rig.member()
  await sender.share(rawContent([300, 5_000, 5_000, 5_000]))
  const slow = await rig.member()
  await slow.receive("slow", { window: 0 })
  const through: RawMember[] = []
  for (const name of ["a", "b", "c", "d"]) {
    const member = await rig.member()
    await member.receive(name)
    await member.until(() => member.got.size === 4, "everything")
    through.push(member)
  }
  for (const member of through) member.say({ do: "done", version: 1 })
  const needs = () => through.map(lastNeed)
  const released = () => needs().filter((need) => need === false).length
  for (const member of through) await member.until(() => lastNeed(member) !== undefined, "a word")
  // The sender and one of them stay.
  assert.equal(released(), 3)
  slow.say({ do: "window", bytes: 1 << 20 })
  await slow.until(() => slow.got.size === 4, "everything")
  for (const member of through) await member.until(() => lastNeed(member) === false, "nobody needs it")
})
