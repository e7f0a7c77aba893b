import assert from "node:assert/strict"
import { test } from "node:test"
import { NinepError } from "./errno.ts"
import type { Fid } from "./fids.ts"
import { ReadCall, WriteCall } from "./served-calls.ts"

test("EAGAIN is an answer to a read and never to a write, which Linux would repeat for ever", () => {
  const errors: unknown[] = []
  const owner = {
    answerRead: () => assert.fail(),
    answerWrite: () => assert.fail(),
    failCall: (_call: unknown, error: unknown) => void errors.push((error as NinepError).errno),
  }
  const fid = { calls: new Set() } as unknown as Fid
  new WriteCall(owner, 1, fid, 0, new Uint8Array(1)).fail(new NinepError("EAGAIN"))
  new ReadCall(owner, 2, fid, 0, 10, false).fail(new NinepError("EAGAIN"))
  assert.deepEqual(errors, ["EBUSY", "EAGAIN"])
})
