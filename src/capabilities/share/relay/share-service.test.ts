import assert from "node:assert/strict"
import { test } from "node:test"
import { rawContent, shareRig } from "../../../../test/kit/share-relay-rig.ts"

const lengths = (count: number, length = 65_552): number[] => [300, ...Array.from({ length: count }, () => length)]

test("what one publishes, others have byte for byte, and it left the sender once", async (t) => {
  const rig = await shareRig(t)
  const content = rawContent(lengths(40))
  const sender = await rig.member()
  await sender.share(content)
  const receivers = await Promise.all(
    Array.from({ length: 4 }, async (_, index) => {
      const receiver = await rig.member()
      await receiver.receive(`r${index}`)
      return receiver
    }),
  )
  for (const receiver of receivers) {
    await receiver.until(() => receiver.got.size === 41, "every chunk")
    for (const [chunk, bytes] of receiver.got) assert.deepEqual(bytes, content.chunks[chunk])
    assert.equal(receiver.duplicates, 0)
  }
  assert.equal(sender.asked.length, 41)
})
