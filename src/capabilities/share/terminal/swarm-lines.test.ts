import assert from "node:assert/strict"
import { test } from "node:test"
import { columnsOf } from "../../../base/columns.ts"
import type { MemberPicture, SwarmPicture } from "../protocol/control.ts"
import { fewestCopies, partsBar, swarmLine, swarmLines } from "./swarm-lines.ts"

const member: MemberPicture = {
  label: "lab-1",
  role: "receiver",
  state: "working",
  have: 200,
  line: "9".repeat(16) + "4" + "0".repeat(15),
  inBytesPerSecond: 2 ** 20,
  outBytesPerSecond: 2 ** 19,
  via: { relay: 3 * 2 ** 20, direct: 2 ** 20, cast: 0 },
  paths: 2,
}

const picture: SwarmPicture = {
  swarm: "482713",
  version: 1,
  chunks: 400,
  bytes: 100 * 2 ** 20,
  copies: [0, 200, 150, 50, 0, 0, 0, 0, 0, 0],
  cache: { chunks: 64, bytes: 16 * 2 ** 20, hits: 95, misses: 5 },
  relay: { inBytes: 100 * 2 ** 20, outBytes: 250 * 2 ** 20 },
  members: [{ ...member, label: "desk", role: "sender", state: "done", have: 400, line: "9".repeat(32) }, member],
  more: 0,
}

test("the picture shows who has which parts, how often they exist, and the ways of the bytes", () => {
  assert.deepEqual(swarmLines(picture, { columns: 120 }), [
    "swarm 482713, 100 MiB in 400 chunks, 2 members",
    "copies   1× 200, 2× 150, 3× 50",
    "came by  relay 6.0 MiB, direct 2.0 MiB",
    "relay    in 100 MiB, out 250 MiB (2.5×), cache 16.0 MiB in 64 chunks, 95 % hits",
    "MEMBER         STATE      HAS  PARTS                                    IN        OUT  FROM",
    `desk (sender)  done     100 %  ${"█".repeat(32)}  1.0 MiB/s  512 KiB/s  relay 75 %, direct 25 %`,
    `lab-1          working   50 %  ${"█".repeat(16)}▃${"·".repeat(15)}  1.0 MiB/s  512 KiB/s  relay 75 %, direct 25 %`,
  ])
  assert.equal(
    swarmLine(picture),
    "swarm 482713, 1 receiver, 0 done, slowest 50 %, 1.0 MiB/s, each part at least 1 time",
  )
  assert.match(swarmLine(picture, 3), /, 3 receivers, 3 done, /)
})

test("a member's note stands behind it, and many members are counted", () => {
  const many = {
    ...picture,
    members: Array.from({ length: 30 }, () => ({ ...member, note: "disk\u001b full" })),
    more: 7,
  }
  const lines = swarmLines(many, { columns: 79, rows: 10 })
  assert.equal(lines.length, 4 + 1 + 9 + 1)
  assert.equal(lines.at(-1), "… 28 more")
  for (const line of lines) assert.ok(columnsOf(line) <= 79, line)
  assert.ok(swarmLines(many, { columns: 200, rows: 10 })[5]?.endsWith("disk? full"))
})

test("an empty swarm is no fault", () => {
  const lines = swarmLines(
    { ...picture, chunks: 0, bytes: 0, copies: [], members: [], cache: { chunks: 0, bytes: 0, hits: 0, misses: 0 } },
    { columns: 80 },
  )
  assert.equal(lines[1], "copies   none")
  assert.equal(lines[2], "came by  nothing came yet")
})

test("the rarest part decides how many copies there are", () => {
  assert.equal(fewestCopies(picture), 1)
  assert.equal(fewestCopies({ ...picture, copies: [0, 0, 400] }), 2)
  assert.equal(fewestCopies({ ...picture, copies: [1, 399] }), 0)
})

test("parts are drawn by their share", () => {
  assert.equal(partsBar("0159"), "·▁▄█")
})
