import assert from "node:assert/strict"
import type { LookupFunction } from "node:net"
import { test } from "node:test"
import { FakeClock } from "../../test/kit/fake-clock.ts"
import { nameLookup } from "./name-lookup.ts"

type Callback = Parameters<LookupFunction>[2]

function course() {
  const clock = new FakeClock()
  const questions: { host: string; callback: Callback }[] = []
  const lookup = nameLookup({ clock, ask: (host, _options, callback) => void questions.push({ host, callback }) })
  const heard: unknown[] = []
  const ask = (host = "relay.test") => {
    lookup(host, { all: true }, (error, address) => heard.push(error?.code ?? address))
  }
  const failure = (code: string) => Object.assign(new Error(code), { code })
  const answer = (at: number, address: string | Error) => {
    if (typeof address === "string") questions[at]?.callback(null, [{ address, family: 4 }])
    else questions[at]?.callback(address, [])
  }
  return { clock, questions, heard, ask, failure, answer }
}

const found = (address: string) => [{ address, family: 4 }]

test("a name is asked for once at a time, and all who wait get the answer", () => {
  const { questions, heard, ask, answer } = course()
  for (let count = 0; count < 20; count++) ask()
  ask("other.test")
  assert.deepEqual(
    questions.map(({ host }) => host),
    ["relay.test", "other.test"],
  )
  answer(0, "192.0.2.1")
  assert.deepEqual(heard, Array(20).fill(found("192.0.2.1")))
  ask()
  assert.equal(questions.length, 3, "an answer is not kept for the next time")
})

test("while the system is slow, the answer before is taken; the new one counts when it comes", () => {
  const { clock, questions, heard, ask, answer } = course()
  ask()
  clock.advance(10_000)
  assert.deepEqual(heard, [], "nothing is known yet")
  answer(0, "192.0.2.1")
  ask()
  clock.advance(400)
  ask()
  clock.advance(100)
  assert.deepEqual(heard, [found("192.0.2.1"), found("192.0.2.1")])
  answer(1, "192.0.2.2")
  assert.deepEqual(heard.at(-1), found("192.0.2.2"), "for the one that had not waited long")
  assert.equal(heard.length, 3)
  assert.equal(questions.length, 2)
  assert.equal(clock.pending, 0)
})

test("a resolver out of reach does not hide what was known, a name that is gone does", () => {
  const { clock, heard, ask, answer, failure } = course()
  ask()
  answer(0, failure("EAI_AGAIN"))
  ask()
  answer(1, "192.0.2.1")
  ask()
  answer(2, failure("EAI_AGAIN"))
  ask()
  answer(3, failure("ENOTFOUND"))
  assert.deepEqual(heard, ["EAI_AGAIN", found("192.0.2.1"), found("192.0.2.1"), "ENOTFOUND"])
  assert.equal(clock.pending, 0)
})
