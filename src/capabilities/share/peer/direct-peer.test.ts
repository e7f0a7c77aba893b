import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { ScriptedPath } from "../../../../test/kit/scripted-path.ts"
import { DirectPeer } from "./direct-peer.ts"

interface Parts {
  readonly clock: FakeClock
  readonly path: ScriptedPath
  readonly peer: DirectPeer
  readonly late: number[]
  readonly silences: () => number
}

function parts(): Parts {
  const clock = new FakeClock()
  const path = new ScriptedPath()
  const late: number[] = []
  let silences = 0
  const peer = new DirectPeer({
    clock,
    member: "other",
    path,
    late: ({ chunk }) => late.push(chunk),
    silent: () => silences++,
  })
  return { clock, path, peer, late, silences: () => silences }
}

const name = (chunk: number) => ({ version: 1, chunk })

/** It has shown that it gives a chunk in a moment. */
function known(): Parts {
  const all = parts()
  for (let chunk = 100; chunk < 110; chunk++) {
    all.peer.ask(name(chunk))
    all.clock.advance(10)
    all.peer.arrived(chunk)
  }
  return all
}

test("one that answers nothing is late after about a second, and is told that nobody waits", () => {
  const { clock, path, peer, late } = known()
  peer.ask(name(3))
  peer.ask(name(4))
  clock.advance(900)
  assert.deepEqual(late, [])
  clock.advance(300)
  assert.deepEqual(late, [3, 4])
  assert.deepEqual(path.cancels, [3, 4])
  assert.equal(peer.asks, 0)
  assert.equal(clock.pending, 0)
})

test("a long way to it is no delay", () => {
  const { clock, path, peer, late } = known()
  path.rttMs = 800
  peer.ask(name(1))
  clock.advance(3_000)
  assert.deepEqual(late, [])
  clock.advance(500)
  assert.deepEqual(late, [1])
})

test("who gives slowly but gives is waited for", () => {
  const { clock, path, peer, late } = parts()
  peer.ask(name(1))
  for (let second = 0; second < 10; second++) {
    clock.advance(1_000)
    path.receivedBytes += 20_000
  }
  assert.deepEqual(late, [])
  assert.equal(peer.arrived(1), 10_000)
  assert.equal(clock.pending, 0)
})

test("who gives a chunk every two seconds may take two seconds", () => {
  const { clock, peer, late } = parts()
  for (let chunk = 0; chunk < 20; chunk++) peer.ask(name(chunk))
  for (let chunk = 0; chunk < 8; chunk++) {
    clock.advance(1_900)
    peer.arrived(chunk)
  }
  assert.deepEqual(late, [])
  clock.advance(9_000)
  assert.equal(late.length, 12)
})

test("an ask that was lost is noticed, though others are answered", () => {
  const { clock, peer, late } = known()
  peer.ask(name(0))
  for (let chunk = 1; chunk < 30; chunk++) {
    peer.ask(name(chunk))
    clock.advance(800)
    peer.arrived(chunk)
  }
  assert.deepEqual(late, [0])
})

test("nothing twice in a row ends the path", () => {
  const { clock, peer, late, silences } = known()
  peer.ask(name(0))
  clock.advance(1_300)
  assert.equal(silences(), 0)
  peer.ask(name(1))
  clock.advance(1_300)
  assert.deepEqual(late, [0, 1])
  assert.equal(silences(), 1)
})

test("what is cancelled, refused or forgotten is not late", () => {
  const { clock, path, peer, late } = parts()
  for (let chunk = 0; chunk < 4; chunk++) peer.ask(name(chunk))
  peer.cancel(0)
  assert.equal(peer.refused(1), true)
  assert.equal(peer.refused(1), false)
  assert.deepEqual(peer.forget(), [name(2), name(3)])
  clock.advance(30_000)
  assert.deepEqual(late, [])
  assert.deepEqual(path.cancels, [0])
  assert.equal(clock.pending, 0)
})
