import assert from "node:assert/strict"
import { test } from "node:test"
import { createLog } from "./log.ts"

test("what strangers sent cannot command the terminal that shows the log", () => {
  const lines: string[] = []
  const log = createLog({ level: "info", format: "text", write: (line) => void lines.push(line) })
  // CSI in one character, a colour, a line of its own, DEL, the other direction.
  log.info("wake.output", { line: "a\u009b2Jb\u001b[31mc\nd\u007fe\u202ef", list: ["x\u009b"] })
  const [line = ""] = lines
  assert.equal(lines.length, 1)
  assert.doesNotMatch(line.trimEnd(), /[\u0000-\u001f\u007f-\u009f\u202e]/)
  assert.ok(line.includes('line="a\\u009b2Jb\\u001b[31mc\\nd\\u007fe\\u202ef" list="x\\u009b"'), line)
})
