import assert from "node:assert/strict"
import { test } from "node:test"
import { appOf, settingsOf, targetOf } from "../../../../test/kit/balance-rig.ts"
import type { Settings } from "../config/settings.ts"
import { allPorts, mainPart, threadPart } from "./settings-parts.ts"

const agents = targetOf(1, { address: { kind: "rdv", name: "web" } })
const settings = settingsOf([
  { ...appOf(443, [agents], { listener: { serverNames: ["a.test"] } }), name: "behind agents" },
  { ...appOf(443, [1], { listener: { serverNames: ["b.test"] } }), name: "beside it" },
  { ...appOf(80, [targetOf(2, { warm: 5 })]), name: "plain" },
])

function portsOf({ apps }: Settings): (readonly number[])[] {
  return apps.map(({ listeners }) => listeners.map(({ port }) => port))
}

test("a port of an app with targets behind agents is the main thread's, all others are the threads'", () => {
  const open = new Set(["127.0.0.1:443", "127.0.0.1:80"])
  assert.deepEqual(portsOf(mainPart(settings, open)), [[443], [443], []])
  assert.deepEqual(portsOf(threadPart(settings, 2, open)), [[], [], [80]])
  assert.deepEqual([...allPorts(settings).keys()], [...open])
})

test("nobody opens a port that is not ours yet", () => {
  assert.deepEqual(portsOf(mainPart(settings, new Set())), [[], [], []])
  assert.deepEqual(portsOf(threadPart(settings, 2, new Set())), [[], [], []])
})

test("as many connections stand ready in all as the file says, and none where nobody comes", () => {
  const warm = ({ apps }: Settings) => apps[2]?.targets[0]?.warm
  assert.deepEqual([warm(mainPart(settings, new Set())), warm(threadPart(settings, 2, new Set()))], [0, 3])
})
