import assert from "node:assert/strict"
import { test } from "node:test"
import { systemClock } from "../../../base/clock.ts"
import { SeededRandom } from "../../../base/random.ts"
import { Channel } from "../core/channel.ts"
import { Space } from "../core/space.ts"
import type { Identity } from "../files/identity.ts"
import { View } from "./view.ts"

function space(): Space {
  const made = new Space({ clock: systemClock, random: new SeededRandom(1) })
  made.makeFolder("/team")
  made.create("/team/jobs")
  made.create("/secret", { uid: 7, permissions: 0o600 })
  return made
}

function view(identity: Partial<Identity>, of: Space = space()): View {
  const nobody = { name: "laptop", uid: 1, gid: 1, groups: [], admin: false, prefix: "/" }
  return new View(of, { ...nobody, mayReceive: () => true, maySend: () => true, ...identity })
}

test("a client whose root is a folder names what is in it, and nothing else", () => {
  const team = view({ prefix: "/team" })
  assert.equal(team.open("/jobs", "send", undefined).path, "/team/jobs")
  assert.deepEqual(
    [...team.channels()].map(({ path }) => team.shown(path)),
    ["/jobs"],
  )
  assert.equal(team.shown("/team"), "/")
  assert.equal(team.full("/"), "/team")
  assert.throws(() => team.open("/secret", "receive", undefined), { code: "not_found" })
  assert.equal(team.create("/new", {}, false).path, "/team/new")
})

test("permission bits say who receives and who sends, unless somebody passes them", () => {
  const all = space()
  assert.throws(() => view({}, all).open("/secret", "receive", undefined), { code: "forbidden", message: /laptop/ })
  assert.throws(() => view({}, all).open("/secret", "send", undefined), { code: "forbidden" })
  assert.ok(view({ uid: 7 }, all).open("/secret", "send", undefined) instanceof Channel)
  assert.ok(view({ admin: true }, all).open("/secret", "send", undefined) instanceof Channel)
})

test("a token that may only receive neither sends, nor makes, nor removes, nor sets", () => {
  const reader = view({ admin: true, maySend: () => false })
  assert.ok(reader.open("/team/jobs", "receive", undefined))
  assert.throws(() => reader.open("/team/jobs", "send", undefined), { code: "forbidden" })
  assert.throws(() => reader.open("/team/new", "receive", {}), { code: "forbidden" })
  assert.throws(() => reader.makeFolder("/folder", false), { code: "forbidden" })
  assert.throws(() => reader.remove("/team/jobs"), { code: "forbidden" })
  assert.throws(() => reader.own("/team/jobs"), { code: "forbidden" })
})

test("what a client may neither receive from nor send to, it does not see", () => {
  const stranger = view({ mayReceive: (path) => path.startsWith("/team"), maySend: () => false })
  assert.deepEqual(
    [...stranger.channels()].map(({ path }) => path),
    ["/team/jobs"],
  )
  assert.throws(() => stranger.find("/secret"), { code: "not_found" })
})

test("a missing channel is made with its folders where that is asked for, and belongs to who asked", () => {
  const all = space()
  const made = view({ uid: 42, name: "maker" }, all).open("/a/b/c", "send", { size: 3 })
  assert.deepEqual([made.settings.size, made.facts.uid, made.facts.owner], [3, 42, "maker"])
  assert.ok(view({ uid: 42 }, all).own("/a/b/c"))
  assert.throws(() => view({ uid: 43 }, all).own("/a/b/c"), { code: "forbidden" })
  assert.throws(() => view({}, all).open("/team", "send", {}), { code: "not_found", message: /folder/ })
  assert.throws(() => view({}, all).open("/x", "send", { size: -1 }), { code: "usage" })
})

test("a dead-letter channel is one that the client may send to", () => {
  const team = view({ admin: true, maySend: (path) => path.startsWith("/team") })
  assert.deepEqual(team.settings({ deadLetter: "/team/failed" }), { deadLetter: "/team/failed" })
  for (const deadLetter of ["/secret", "/missing"]) {
    assert.throws(() => team.settings({ deadLetter }), { code: "forbidden" })
  }
  assert.throws(() => team.create("/team/x", { deadLetter: "/secret" }, false), { code: "forbidden" })
})
