/** Shares at relays and among members that lie, and for those who guess: it is noticed, told, and no false byte is kept. */

import assert from "node:assert/strict"
import { join } from "node:path"
import { describe, test } from "node:test"
import type { JsonObject } from "../../src/base/json.ts"
import { assertOneLine, runCommand } from "../kit/command.ts"
import { flipped, lyingRelay } from "../kit/share-liars.ts"
import type { Lies } from "../kit/share-liars.ts"
import { eventually, ShareStage } from "../kit/share-stage.ts"

const wrongTables: { readonly [what: string]: { readonly lies: Lies; readonly message: RegExp } } = {
  "another table": {
    lies: { table: flipped },
    message: /^The relay gave a table that nobody with this code has made: $/,
  },
  "a table that is longer than it was said": {
    lies: { table: (bytes) => new Uint8Array([...bytes, 0]) },
    message: /belong to no table/,
  },
  "a table without end": {
    lies: { message: tableOf((facts) => ({ ...facts, bytes: 2 ** 40 })) },
    message: /tried again: .*bytes/,
  },
  "another proof of the table": {
    lies: { message: tableOf((facts) => ({ ...facts, mac: "A".repeat(43) })) },
    message: /^The relay gave a table that nobody with this code has made: $/,
  },
  "words that are none": {
    lies: { message: (message) => (message["do"] === "welcome" ? { do: "dance" } : message) },
    message: /tried again: "do" of a message about a share/,
  },
}

describe("lies", { concurrency: 3 }, () => {
  test("a relay that changes chunks is told, and what it spoils comes from others", { timeout: 110_000 }, async (t) => {
    const lies: Lies = {}
    const stage = await ShareStage.start(t, { wrap: (running) => lyingRelay(running, lies), carrier: "relay" })
    const file = stage.file(1_500_000)
    const { code } = await stage.send(file)
    lies.part = (head, sealed) => [head, flipped(sealed)]
    const one = await stage.receive("one", code)
    await one.done(file, 30_000)
    assert.ok(one.remarks.some((text) => /^part \d+ from the relay was false and thrown away$/.test(text)))
    const { via } = one.get.figures()
    assert.equal(via.relay, 0)
  })

  test(
    "where there is nobody else, a relay that lies is one clear line, and no end at 99 %",
    { timeout: 110_000 },
    async (t) => {
      const lies: Lies = {}
      const stage = await ShareStage.start(t, { wrap: (running) => lyingRelay(running, lies), carrier: "relay" })
      const file = stage.file(1_500_000)
      const { code } = await stage.send(file, { direct: false })
      // The last one is always false.
      const last = (head: Uint8Array) => new DataView(head.buffer, head.byteOffset).getUint32(4) === 46
      lies.part = (head, sealed) => [head, last(head) ? flipped(sealed) : sealed]
      const one = await stage.receive("one", code, { direct: false, timeoutMs: 4_500 })
      const { code: why, message, mend } = await one.failed(30_000)
      assert.equal(why, "timeout")
      assert.match(
        `${message}: ${mend ?? ""}`,
        /^Nothing came for \d s: it waits for a true copy of 1 chunk: \d+ came that were false$/,
      )
      assert.deepEqual(one.get.figures().haveBytes, 1_500_000 - (1_500_000 % 32_768))
      lies.part = undefined
      const again = await stage.receive("one", code, { direct: false })
      await again.done(file)
    },
  )

  test("whatever a relay says wrong about a share is told in one line", { timeout: 110_000 }, async (t) => {
    const one = async (what: string, { lies, message }: { readonly lies: Lies; readonly message: RegExp }) => {
      const told: Lies = {}
      const stage = await ShareStage.start(t, { wrap: (running) => lyingRelay(running, told) })
      const { code } = await stage.send(stage.file(200_000))
      Object.assign(told, lies)
      const receiver = await stage.receive(what, code, { timeoutMs: 5_000 })
      const { message: said, mend = "" } = await receiver.failed(30_000)
      assert.match(`${said}: ${mend}`, message)
      assert.doesNotMatch(said + mend, /\n/)
    }
    await Promise.all(Object.entries(wrongTables).map(([what, wrong]) => one(what, wrong)))
  })

  test(
    "a member that gives false chunks is dropped and told, and nothing of it is kept",
    { timeout: 110_000 },
    async (t) => {
      const stage = await ShareStage.start(t, { carrier: "direct" })
      const file = stage.file(3_000_000)
      const { code } = await stage.send(file, { limitBytesPerSecond: 1_500_000 })
      const given = { parts: 0 }
      await stage.liar("liar", code, {
        part: (head, sealed) => {
          given.parts++
          return [head, flipped(sealed)]
        },
      })
      const both = await Promise.all(["a", "b"].map((name) => stage.receive(name, code)))
      for (const one of both) await one.done(file, 30_000)
      assert.ok(given.parts > 0, "nobody asked the liar")
      const told = both.flatMap(({ remarks }) => remarks)
      assert.ok(
        told.some((text) => /^part \d+ from member \S+ was false and thrown away$/.test(text)),
        told.join(),
      )
      // Who was caught is not asked again.
      for (const { remarks } of both) assert.ok(remarks.length <= 8, remarks.join("\n"))
    },
  )

  test("guesses are slowed down, and nobody else is", { timeout: 110_000 }, async (t) => {
    const stage = await ShareStage.start(t, { limits: { guessBurst: 5, guessForgiveMs: 30_000 } })
    const file = stage.file(300_000)
    const { code } = await stage.send(file, { password: "right" })
    const keys = { access: new Uint8Array(32), identity: new Uint8Array(32), seal: new Uint8Array(32) }
    const guess = { ...keys, table: new Uint8Array(32), peer: new Uint8Array(32) }
    const codes: string[] = []
    for (let count = 0; count < 7; count++) {
      const one = await stage.receive(`guess-${count}`, code, { keys: guess })
      codes.push((await one.failed()).code)
    }
    assert.deepEqual(
      codes.slice(0, 5),
      Array.from({ length: 5 }, () => "unauthorized"),
    )
    assert.equal(codes.at(-1), "rate_limited")
    const limited = await runCommand(["get", code, "--relay", stage.address, "-o", `${stage.home}/cli/`], {
      data: stage.home,
      env: { RDV_SHARE_PASSWORD: "right" },
    })
    assertOneLine(limited, 5, /too many wrong codes.*wait a minute/i)
    const waited = await stage.receive("waited", code, { password: "right", timeoutMs: 20_000 })
    assert.equal((await waited.failed()).code, "rate_limited")
  })

  test(
    "two shares of the same content at once are two, and one folder takes one of them",
    { timeout: 110_000 },
    async (t) => {
      const stage = await ShareStage.start(t)
      const file = stage.file(2_000_000)
      const [first, second] = await Promise.all([
        stage.send(file, { limitBytesPerSecond: 1_500_000 }),
        stage.send(file, { limitBytesPerSecond: 1_500_000 }),
      ])
      assert.notEqual(first.code, second.code)
      const all = await Promise.all([
        stage.receive("a", first.code),
        stage.receive("b", second.code),
        stage.receive("c", first.code),
        stage.receive("d", second.code),
      ])
      await eventually("a part", () => (all[0]?.get.figures().haveBytes ?? 0) > 100_000)
      const thief = await stage.receive("thief", second.code, { output: join(stage.home, "a") })
      const error = await thief.failed()
      assert.equal(error.code, "in_use", error.message)
      for (const one of all) await one.done(file, 30_000)
    },
  )
})

function tableOf(change: (facts: JsonObject) => JsonObject): (message: JsonObject) => JsonObject {
  return (message) =>
    message["do"] === "table" ? { ...message, table: change(message["table"] as JsonObject) } : message
}
