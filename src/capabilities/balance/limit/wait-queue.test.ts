import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { WaitQueue } from "./wait-queue.ts"
import type { Waiting } from "./wait-queue.ts"

/** A queue in front of some places; what happens is written down. */
class Scene {
  readonly clock = new FakeClock()
  readonly limits = { queue: 100, queueMs: 5000 }
  readonly queue = new WaitQueue({ clock: this.clock, limits: () => this.limits })
  places = 0
  readonly events: string[] = []

  /** `name` begins with its client. */
  enter(name: string): Waiting | undefined {
    const waiting = this.queue.enter({
      client: name.charAt(0),
      turn: () => {
        if (this.places === 0) return false
        this.places--
        this.events.push(name)
        return true
      },
      lost: (reason) => this.events.push(`${name} ${reason}`),
    })
    if (waiting === undefined) this.events.push(`${name} refused`)
    return waiting
  }

  serve(places: number): string {
    this.places = places
    this.queue.serve()
    return this.taken()
  }

  taken(): string {
    return this.events.splice(0).join(", ")
  }
}

test("clients take turns, each in its own order", () => {
  const scene = new Scene()
  for (const name of ["a1", "a2", "a3", "a4", "b1", "b2", "c1"]) scene.enter(name)
  assert.equal(scene.serve(1), "a1")
  assert.equal(scene.serve(4), "b1, c1, a2, b2")
  scene.enter("c2")
  assert.equal(scene.serve(9), "a3, c2, a4")
  assert.equal(scene.places, 6)
  assert.equal(scene.clock.pending, 0)
})

test("who finds no place stays first", () => {
  const scene = new Scene()
  for (const name of ["a1", "b1"]) scene.enter(name)
  assert.equal(scene.serve(0), "")
  assert.equal(scene.serve(1), "a1")
  assert.equal(scene.queue.length, 1)
})

test("nobody waits longer than allowed", () => {
  const scene = new Scene()
  scene.enter("a1")
  scene.clock.advance(3000)
  scene.enter("b1")
  scene.clock.advance(1999)
  assert.equal(scene.taken(), "")
  scene.clock.advance(1)
  assert.equal(scene.taken(), "a1 queue-timeout")
  scene.clock.advance(3000)
  assert.equal(scene.taken(), "b1 queue-timeout")
  assert.equal(scene.clock.pending, 0)
})

test("a reload that allows less time counts within a second", () => {
  const scene = new Scene()
  scene.limits.queueMs = 60_000
  scene.enter("a1")
  scene.limits.queueMs = 100
  scene.clock.advance(1000)
  assert.equal(scene.taken(), "a1 queue-timeout")
})

test("who cancels is gone without a word, and may do so twice", () => {
  const scene = new Scene()
  const first = scene.enter("a1")
  const second = scene.enter("a2")
  first?.cancel()
  first?.cancel()
  assert.equal(scene.queue.length, 1)
  second?.cancel()
  assert.equal(scene.serve(3), "")
  assert.equal(scene.clock.pending, 0)
})

test("a full queue refuses, but nobody keeps others out by filling it", () => {
  const scene = new Scene()
  scene.limits.queue = 4
  for (const name of ["a1", "a2", "a3", "a4", "a5"]) scene.enter(name)
  assert.equal(scene.taken(), "a5 refused")
  scene.enter("b1")
  assert.equal(scene.taken(), "a4 queue-full")
  scene.enter("b2")
  assert.equal(scene.taken(), "a3 queue-full")
  scene.enter("b3")
  assert.equal(scene.taken(), "b3 refused")
  scene.enter("c1")
  assert.equal(scene.queue.length, 4)
  assert.match(scene.taken(), /^(a2|b2) queue-full$/)
  scene.limits.queue = 0
  scene.enter("d1")
  assert.equal(scene.taken(), "d1 refused")
})

test("turns may enter, cancel and end the queue", () => {
  const scene = new Scene()
  const order: string[] = []
  const none = () => {}
  const enter = (client: string, turn: () => boolean) => scene.queue.enter({ client, turn, lost: none })
  const own = enter("a", () => {
    order.push("a cancels")
    own?.cancel()
    return false
  })
  enter("b", () => {
    order.push("b enters c")
    enter("c", () => order.push("c") > 0)
    scene.queue.serve()
    return true
  })
  enter("d", () => {
    order.push("d ends it")
    scene.queue.clear()
    return false
  })
  scene.queue.serve()
  assert.deepEqual(order, ["a cancels", "b enters c", "d ends it"])
  assert.equal(scene.queue.length, 0)
  assert.equal(scene.clock.pending, 0)
})

test("each that enters leaves exactly once: by its turn, by cancelling, by its deadline, or for others", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("enter" as const), client: fc.nat(4) }),
    fc.record({ kind: fc.constant("cancel" as const), at: fc.nat(50) }),
    fc.record({ kind: fc.constant("serve" as const), places: fc.nat(3) }),
    fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(2000) }),
  )
  const property = fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 12 }), (steps, most) => {
    const scene = new Scene()
    scene.limits.queue = most
    let count = 0
    const there = new Map<string, Waiting>()
    const settle = () => {
      for (const event of scene.events.splice(0)) {
        const name = event.split(" ")[0] as string
        if (!event.endsWith("refused")) assert(there.delete(name), event)
      }
    }
    for (const one of steps) {
      if (one.kind === "enter") {
        const name = `${one.client}.${count++}`
        const waiting = scene.enter(name)
        if (waiting !== undefined) there.set(name, waiting)
      } else if (one.kind === "cancel") {
        const [name, waiting] = [...there][one.at] ?? []
        waiting?.cancel()
        there.delete(name ?? "")
      } else if (one.kind === "serve") {
        scene.places = one.places
        scene.queue.serve()
      } else scene.clock.advance(one.ms)
      settle()
      assert.equal(scene.queue.length, there.size)
      assert(there.size <= most)
    }
    scene.clock.advance(5000)
    settle()
    assert.equal(there.size, 0)
    assert.equal(scene.clock.pending, 0)
  })
  fc.assert(property, { numRuns: 300 })
})
