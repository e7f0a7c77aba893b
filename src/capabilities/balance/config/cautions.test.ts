import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { readDocument } from "../../../config/document.ts"
import { cautions } from "./cautions.ts"
import { hostFacts } from "./host-facts.ts"
import type { HostFacts } from "./host-facts.ts"
import { readSettings } from "./read-settings.ts"

const folder = mkdtempSync(join(tmpdir(), "rdv-cautions-"))
after(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, "no.pem"), "none")
writeFileSync(join(folder, "bad.txt"), "10.0.0.0/8\n10.0.0.0/40\n")

const facts: HostFacts = {
  firstFreePort: 0,
  descriptors: undefined,
  memory: 2 ** 33,
  socketBuffers: undefined,
  allSocketBuffers: undefined,
}

function told(text: string, more: Partial<HostFacts> = {}): readonly string[] {
  const settings = readSettings(readDocument(text, { file: join(folder, "b.yaml") }))
  return cautions(settings, { facts: { ...facts, ...more }, wall: Date.now() }).map(
    ({ app, level, what }) =>
      `${level} ${app ?? "-"}: ${what.replaceAll(`${folder}/`, "").replace(/ is not a network:.*/, " is not a network")}`,
  )
}

const app = (more: string, targets = "b:1") => `apps: [{name: a, ports: 80, targets: ${targets}, ${more}}]`

test("a good file on a good machine gets no warning", () => {
  assert.deepEqual(told(app("")), [])
})

test("what surprises is told once, with the app that it is about", () => {
  const cases: readonly (readonly [text: string, ...lines: readonly string[]])[] = [
    [
      app("tls: {cert: no.pem, key: gone.key, client-ca: no.pem}"),
      "warning a: the file gone.key does not exist",
      "warning a: no.pem holds no certificate in PEM",
    ],
    [app("", "[{address: b:1, tls: {verify: false}}]"), "warning a: the certificate of b:1 is not verified"],
    [
      app("", "[{address: rdv:b, tls: true}]"),
      "warning a: the certificate of rdv:b has no name to be verified against",
    ],
    [app("proxy-protocol: require"), "warning a: whoever reaches 80 can claim any address by a PROXY header"],
    [app("", "localhost:80"), "warning a: the target localhost:80 is a port of this balancer"],
    [
      app("", "[{address: b:1, disabled: true}, {address: c:1, weight: 0}]"),
      "warning a: no target gets connections: each is disabled or has the weight 0",
    ],
    [app("access: [{deny-file: gone.txt}]"), "warning a: gone.txt does not exist"],
    [app("access: [{deny-file: bad.txt}]"), 'warning a: bad.txt:2:1: "10.0.0.0/40" is not a network'],
    [
      app("access: [{allow: 10.0.0.7}, {deny: 10.0.0.0/8}]"),
      "warning a: access: the last rule denies, and whoever no rule names is denied as well",
    ],
    [app("access: {otherwise: allow, rules: [{allow: 10.0.0.7}, {deny: 10.0.0.0/8}]}")],
    [app("each-target: {zone: x}"), "warning a: targets have zones and the balancer has none, so no zone is preferred"],
    [app("timeouts: {dial: 1s}"), "warning a: timeouts: dial is shorter than connect, and ends the first attempt"],
  ]
  for (const [text, ...lines] of cases) assert.deepEqual(told(text), lines, text)
})

test("what the machine does not allow is told in numbers", () => {
  assert.deepEqual(told(app(""), { firstFreePort: 1_024 }), ["warning a: this user may not listen on port 80"])
  const many = `max-connections: 1000\n${app("")}`
  assert.deepEqual(told(many, { descriptors: 1_024 }), [
    "warning -: max-connections is 1000, and 1024 descriptors are enough for 480",
  ])
  const buffers = { receive: 6 * 2 ** 20, send: 4 * 2 ** 20 }
  assert.deepEqual(told(many, { socketBuffers: buffers, allSocketBuffers: 2 ** 30 }), [
    "note -: 1000 connections with a reader that is stuck could want 9.8 GiB in the kernel, up to 10.0 MiB each; " +
      "it gives 1.0 GiB to all of TCP, and then all are slow",
  ])
  assert.deepEqual(told(many, { socketBuffers: buffers }), [
    "note -: 1000 connections with a reader that is stuck could want 9.8 GiB in the kernel, up to 10.0 MiB each; " +
      "a tenth of the memory is 819.2 MiB",
  ])
  assert.deepEqual(told(`max-connections: 100\n${app("")}`, { socketBuffers: buffers, allSocketBuffers: 2 ** 30 }), [])
  assert.deepEqual(told(`max-connections: 81\n${app("")}`, { socketBuffers: buffers }), [])
})

test("what stuck readers could want of the kernel is told of numbers in the file, and not of every file", () => {
  const machine = { socketBuffers: { receive: 6 * 2 ** 20, send: 4 * 2 ** 20 }, descriptors: 1_048_576 }
  assert.deepEqual(told(app(""), machine), [])
  assert.match(told(app("limits: {connections: 2000}"), machine).join(), /^note -: 2000 connections /)
  assert.deepEqual(told(app("limits: {connections: 50}"), machine), [])
})

test("the facts of this machine are numbers", () => {
  const { memory, firstFreePort, descriptors } = hostFacts()
  assert.ok(memory > 2 ** 20 && firstFreePort >= 0)
  if (process.platform === "linux") assert.ok(descriptors === undefined || descriptors >= 64)
})
