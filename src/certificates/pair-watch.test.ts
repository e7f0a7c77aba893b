import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FakeClock } from "../../test/kit/fake-clock.ts"
import { eventually } from "../../test/kit/raw-http.ts"
import { silentLog } from "../base/log.ts"
import type { Log, LogFields } from "../base/log.ts"
import { makeAuthority, makeServerCertificate } from "./certificate.ts"
import type { Certified } from "./certificate.ts"
import { readPair } from "./certificate-pair.ts"
import type { CertificatePair } from "./certificate-pair.ts"
import { PairWatch } from "./pair-watch.ts"

const dayMs = 86_400_000
/** The fake clock's start. */
const today = Date.UTC(2025, 0, 1)
const validity = { from: new Date(today - dayMs), until: new Date(today + 400 * dayMs) }
const authority = makeAuthority({ title: "test", domains: ["example.test"], ...validity })
const made = (days = 90) =>
  makeServerCertificate(
    { title: "x", names: ["example.test"], from: validity.from, until: new Date(today + days * dayMs) },
    authority,
  )

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rdv-pair-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface Watched {
  readonly clock: FakeClock
  readonly watch: PairWatch
  readonly shown: CertificatePair[]
  readonly told: { event: string; fields: LogFields }[]
  /** Two looks: what has changed before is seen by the first and read by the second. */
  twoLooks(): Promise<void>
}

function watched(t: TestContext, files: { cert: string; key: string }): Watched {
  const clock = new FakeClock()
  const told: { event: string; fields: LogFields }[] = []
  const note = (event: string, fields: LogFields = {}) => void told.push({ event, fields })
  const log: Log = { ...silentLog, info: note, warn: note }
  const shown: CertificatePair[] = []
  const pair = readPair(files)
  const watch = new PairWatch({ clock, log, files, pair, mend: "renew", onRenewed: (each) => void shown.push(each) })
  const look = async () => {
    clock.advance(5_000)
    // The next look is planned when this one has seen the files.
    await eventually("the files were looked at", () => clock.pending === 2)
  }
  t.after(() => {
    watch.stop()
    assert.equal(clock.pending, 0)
  })
  return {
    clock,
    watch,
    shown,
    told,
    async twoLooks() {
      await look()
      await look()
    },
  }
}

function put({ cert, key }: { cert: string; key: string }, pair: Certified): void {
  writeFileSync(cert, pair.cert)
  writeFileSync(key, pair.key)
}

const events = ({ told }: Watched) => told.map(({ event }) => event)

test("a pair that was written anew is shown, one that was only touched is not", async (t) => {
  const folder = folderOf(t)
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") }
  const first = made()
  put(files, first)
  const room = watched(t, files)
  await room.twoLooks()
  put(files, first)
  await room.twoLooks()
  assert.deepEqual(room.shown, [])
  const next = made(100)
  put(files, next)
  await room.twoLooks()
  assert.deepEqual(
    room.shown.map(({ cert }) => cert),
    [next.cert],
  )
  assert.deepEqual(events(room), ["certificate.shown", "certificate.shown"])
  assert.equal(room.told[1]?.fields["until"], "2025-04-11T00:00:00Z")
  assert.equal(room.told[1]?.fields["serial"], room.watch.pair.serial)
})

test("links that are swapped one after the other, and a folder that is replaced, are followed", async (t) => {
  const folder = folderOf(t)
  const inside = (...names: string[]) => ({
    cert: join(folder, ...names, "cert.pem"),
    key: join(folder, ...names, "key.pem"),
  })
  const [one, two, three] = [made(), made(), made()] as [Certified, Certified, Certified]
  for (const [name, pair] of Object.entries({ one, two, three })) {
    mkdirSync(join(folder, name))
    put(inside(name), pair)
  }
  const swap = (target: string, link: string) => {
    symlinkSync(target, `${link}.new`)
    renameSync(`${link}.new`, link)
  }
  // As certbot does it: a link for each file.
  swap("one", join(folder, "live"))
  const files = inside("live")
  const room = watched(t, files)
  swap("two", join(folder, "live"))
  await room.twoLooks()
  assert.deepEqual(
    room.shown.map(({ key }) => key),
    [two.key],
  )
  unlinkSync(join(folder, "live"))
  renameSync(join(folder, "three"), join(folder, "live"))
  await room.twoLooks()
  assert.deepEqual(
    room.shown.map(({ key }) => key),
    [two.key, three.key],
  )
})

test("a pair that is half written, does not belong together or is damaged is refused once, and the old one stays", async (t) => {
  const folder = folderOf(t)
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") }
  put(files, made())
  const room = watched(t, files)
  const next = made()
  const refusals: [() => void, RegExp][] = [
    [
      () => writeFileSync(files.cert, next.cert),
      /key in .*key\.pem is not that of the certificate in .*cert\.pem: give/,
    ],
    [() => writeFileSync(files.cert, next.cert.slice(0, 200)), /cert\.pem holds no certificate in PEM: give the whole/],
    [() => unlinkSync(files.cert), /cert\.pem does not exist: check the path/],
    [() => put(files, { cert: next.cert, key: "" }), /key\.pem holds no private key that can be read: give it in PEM/],
    [() => put(files, { cert: `${next.cert}\n${next.cert.replace(/M/, "N")}`, key: next.key }), /cannot be used: /],
  ]
  for (const [break_, reason] of refusals) {
    const before = room.told.length
    break_()
    for (let times = 0; times < 3; times++) await room.twoLooks()
    assert.equal(room.told.length, before + 1, String(reason))
    assert.equal(room.told[before]?.event, "certificate.refused")
    assert.match(String(room.told[before]?.fields["reason"]), reason)
  }
  assert.deepEqual(room.shown, [])
  put(files, next)
  await room.twoLooks()
  assert.equal(room.shown.length, 1)
})

test("files that change between two looks are read when they rest", async (t) => {
  const folder = folderOf(t)
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") }
  put(files, made())
  const room = watched(t, files)
  await room.twoLooks()
  const next = made()
  writeFileSync(files.cert, next.cert)
  room.clock.advance(5_000)
  await eventually("the files were looked at", () => room.clock.pending === 2)
  writeFileSync(files.key, next.key)
  await room.twoLooks()
  assert.deepEqual(events(room), ["certificate.shown", "certificate.shown"])
  assert.equal(room.shown.length, 1)
})

test("whoever asks is answered at once, with the same pair too", (t) => {
  const folder = folderOf(t)
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") }
  put(files, made())
  const room = watched(t, files)
  room.watch.reload()
  put(files, made())
  room.watch.reload()
  writeFileSync(files.key, "")
  room.watch.reload()
  assert.deepEqual(events(room), [...Array<string>(3).fill("certificate.shown"), "certificate.refused"])
  assert.equal(room.shown.length, 1)
})

test("a certificate that runs out within two weeks is warned of each day, until another one is shown", async (t) => {
  const folder = folderOf(t)
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") }
  put(files, made(15.5))
  const room = watched(t, files)
  const warnings = () => room.told.filter(({ event }) => event !== "certificate.shown")
  const nextDay = async () => {
    room.clock.freeze(dayMs)
    await eventually("the files were looked at", () => room.clock.pending === 2)
  }
  await nextDay()
  assert.deepEqual(warnings(), [])
  for (let days = 2; days <= 16; days++) await nextDay()
  assert.deepEqual(
    warnings().map(({ event, fields }) => (event === "certificate.expires" ? fields["days"] : event)),
    [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, "certificate.expired"],
  )
  put(files, made(300))
  await room.twoLooks()
  await nextDay()
  assert.equal(warnings().length, 15)
})
