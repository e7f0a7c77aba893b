import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { Line } from "./line.ts"
import type { Crowd, Member } from "./line.ts"

class Person implements Member<Person> {
  previous: Person | undefined
  next: Person | undefined
  line: Line<Person> | undefined
  readonly age: number

  constructor(age: number) {
    this.age = age
  }
}

function agesOf(line: Line<Person>): number[] {
  const ages: number[] = []
  for (let person = line.first; person !== undefined; person = person.next) ages.push(person.age)
  return ages
}

test("inserted near any member, a sorted line stays sorted; who is as old stands in front", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(50), fc.nat(50))), (program) => {
      const line = new Line<Person>()
      const all: Person[] = []
      for (const [age, near] of program) {
        const person = new Person(age)
        line.insert(person, (other) => other.age > age, all[near])
        all.push(person)
      }
      assert.deepEqual(
        agesOf(line),
        all.map((each) => each.age).sort((a, b) => a - b),
      )
    }),
  )
})

test("many in order, each near the last one, cost a few steps each", () => {
  const line = new Line<Person>()
  for (let age = 10_000; age < 11_000; age++) line.push(new Person(age))
  let steps = 0
  let last: Person | undefined
  for (let age = 0; age < 10_000; age++) {
    const person = new Person(age)
    line.insert(person, (other) => (steps++, other.age > age), last)
    last = person
  }
  assert.ok(steps <= 40_000, `${steps} steps`)
  assert.equal(line.first?.age, 0)
})

test("a crowd counts those of all its lines, however they leave", () => {
  const crowd: Crowd = { length: 0 }
  const [one, other] = [new Line<Person>(crowd), new Line<Person>(crowd)]
  const leaver = new Person(1)
  one.push(leaver)
  other.push(new Person(2))
  other.insert(new Person(3), () => true)
  assert.equal(crowd.length, 3)
  leaver.line?.remove(leaver)
  other.shift()
  assert.deepEqual([crowd.length, one.length, other.length], [1, 0, 1])
})
