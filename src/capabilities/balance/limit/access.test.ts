import assert from "node:assert/strict"
import { mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { silentLog } from "../../../base/log.ts"
import type { RdvError } from "../../../base/error.ts"
import type { Log, LogFields } from "../../../base/log.ts"
import { problemsOf } from "../../../config/problems.ts"
import type { AccessRule, AccessSettings } from "../config/settings.ts"
import { Access } from "./access.ts"

const folder = mkdtempSync(join(tmpdir(), "rdv-access-"))
after(() => rmSync(folder, { recursive: true, force: true }))

function fileOf(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function rule(action: AccessRule["action"], networks: readonly string[], file?: string): AccessRule {
  return { action, networks, file }
}

function settings(otherwise: AccessSettings["otherwise"], ...rules: readonly AccessRule[]): AccessSettings {
  return { rules, otherwise }
}

/** Time stands still until a test lets files be looked at; what is logged is kept. */
class Scene {
  readonly clock = new FakeClock()
  readonly lines: { readonly event: string; readonly fields: LogFields }[] = []
  changes = 0
  readonly access: Access

  constructor(of: AccessSettings) {
    const write = (event: string, fields: LogFields = {}) => void this.lines.push({ event, fields })
    const log: Log = { ...silentLog, info: write, warn: write }
    this.access = new Access({ clock: this.clock, log, settings: of, onChange: () => this.changes++ })
  }

  /** Long enough for two looks at the files, which ask the system. */
  async look(everyMs = 2_000): Promise<void> {
    for (let looks = 0; looks < 2; looks++) {
      this.clock.advance(everyMs)
      const deadline = Date.now() + 5000
      while (this.clock.pending === 0) {
        assert(Date.now() < deadline, "the files were looked at")
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
  }
}

test("the first rule that names an address decides", () => {
  const { access } = new Scene(
    settings(
      "deny",
      rule("deny", ["10.0.0.13"]),
      rule("allow", ["10.0.0.0/8", "2001:db8::/32"]),
      rule("deny", ["0.0.0.0/0"]),
      rule("allow", ["127.0.0.1"]),
    ),
  )
  for (const address of ["10.0.0.12", "::ffff:10.9.9.9", "2001:db8::1"]) assert.equal(access.allows(address), true)
  for (const address of ["10.0.0.13", "::ffff:10.0.0.13", "127.0.0.1", "2001:db9::1", "unix"]) {
    assert.equal(access.allows(address), false, address)
  }
})

test("without a rule for it, what holds otherwise holds", () => {
  assert.equal(new Scene(settings("allow")).access.allows("10.0.0.1"), true)
  assert.equal(new Scene(settings("deny")).access.allows("10.0.0.1"), false)
})

test("a file is read with its comments, and again when it changes", async () => {
  const file = fileOf("deny.txt", "# bad ones\r\n10.0.0.1\r\n\r\n  2001:db8::/32 # a network\n")
  const scene = new Scene(settings("allow", rule("deny", ["192.0.2.1"], file)))
  const { access } = scene
  const said = (...addresses: readonly string[]) => addresses.map((address) => access.allows(address))
  assert.deepEqual(said("10.0.0.1", "10.0.0.2", "2001:db8::5", "192.0.2.1"), [false, true, false, false])
  await scene.look()
  assert.equal(scene.lines.length, 0, "it has not changed")

  renameSync(fileOf("new.txt", "10.0.0.2\n"), file)
  await scene.look()
  assert.deepEqual(said("10.0.0.1", "10.0.0.2", "2001:db8::5", "192.0.2.1"), [true, false, true, false])
  assert.deepEqual(scene.lines.splice(0), [{ event: "access.read", fields: { file, ranges: 2 } }])
  assert.equal(scene.changes, 1)

  writeFileSync(file, "10.0.0.3\nnonsense\n")
  await scene.look()
  assert.deepEqual(said("10.0.0.2", "10.0.0.3"), [false, true], "the last good one stays")
  const [{ event, fields } = { event: "", fields: {} }] = scene.lines.splice(0)
  assert.equal(event, "access.refused")
  assert.match(fields["reason"] as string, /deny\.txt:2:1: "nonsense" is not a network: write 10\.0\.0\.1/)

  unlinkSync(file)
  await scene.look()
  assert.deepEqual(said("10.0.0.2"), [false])
  assert.match(scene.lines.splice(0)[0]?.fields["reason"] as string, /deny\.txt does not exist/)
  await scene.look()
  assert.equal(scene.lines.length, 0, "one line for each change")

  writeFileSync(file, "10.0.0.3\n")
  await scene.look()
  assert.deepEqual(said("10.0.0.2", "10.0.0.3"), [true, false])
  access.stop()
  assert.equal(scene.clock.pending, 0)
})

test("a reload reads what has changed at once, and tells what cannot be used until it can", () => {
  const file = fileOf("asked.txt", "10.0.0.1\n")
  const { access, lines } = new Scene(settings("allow", rule("deny", [], file)))
  assert.deepEqual([access.reload(), lines], [[], []], "it has not changed")
  writeFileSync(file, "10.0.0.2\n\n10.0.0.0/77\n")
  const [problem, ...others] = access.reload()
  assert.match(problem ?? "", /asked\.txt:3:1: "10\.0\.0\.0\/77" is not a network: write /)
  assert.deepEqual([others, access.reload(), access.allows("10.0.0.1")], [[], [problem], false])
  writeFileSync(file, "10.0.0.2\n")
  assert.deepEqual(access.reload(), [])
  assert.deepEqual([access.allows("10.0.0.1"), access.allows("10.0.0.2")], [true, false])
  access.stop()
})

test("a bad line among a hundred thousand is told within two looks of a second", async () => {
  const good = Array.from({ length: 100_000 }, (_, at) => `10.${at >> 12}.${(at >> 4) & 255}.${(at & 15) * 16}/28`)
  const file = fileOf("long.txt", good.join("\n"))
  const scene = new Scene(settings("allow", rule("deny", [], file)))
  writeFileSync(file, good.with(77_777, "10.0.0.0.0").join("\n"))
  await scene.look(1_000)
  const [line, ...others] = scene.lines
  assert.deepEqual([line?.event, others], ["access.refused", []])
  assert.match(String(line?.fields["reason"]), /long\.txt:77778:1: "10\.0\.0\.0\.0" is not a network/)
  scene.access.stop()
})

test("a bad file is refused at the start with each of its lines", () => {
  const file = fileOf("bad.txt", `10.0.0.1\n  10.0.0.0/40\n${"x".repeat(500)} # no\n`)
  try {
    new Scene(settings("allow", rule("deny", [], file)))
    assert.fail("it was taken")
  } catch (error) {
    const problems = problemsOf(error as RdvError).map(({ message }) => message)
    assert.equal(problems.length, 2)
    assert.equal(problems[0], `${file}:2:3: "10.0.0.0/40" is not a network`)
    assert((problems[1] as string).length < file.length + 100)
  }
  const missing = join(folder, "missing.txt")
  assert.throws(() => new Scene(settings("allow", rule("deny", [], missing))), {
    code: "usage",
    message: /does not exist/,
  })
})

test("rules that cannot be used change nothing", () => {
  const { access } = new Scene(settings("deny", rule("allow", ["10.0.0.1"])))
  assert.throws(() => access.update(settings("allow", rule("deny", ["10.0.0.1/99"]))), { code: "usage" })
  assert.deepEqual([access.allows("10.0.0.1"), access.allows("10.0.0.2")], [true, false])
  access.update(settings("allow", rule("deny", ["10.0.0.1"])))
  assert.deepEqual([access.allows("10.0.0.1"), access.allows("10.0.0.2")], [false, true])
})
