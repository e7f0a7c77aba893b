import assert from "node:assert/strict"
import { test } from "node:test"
import { RdvError } from "../../../base/error.ts"
import { toldFailure } from "./told-failure.ts"

test("what others hear of a failure names no file of the share and no folder of the machine", () => {
  const told = toldFailure(new RdvError("exists", "Something else has the name: /home/anna/secret plan.pdf"))
  assert.equal(told, "Something else has the name there")
  assert.equal(toldFailure(new RdvError("internal", "The file system failed at secret")), "Something failed there")
})
