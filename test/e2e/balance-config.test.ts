/** `rdv balance check` and `rdv balance convert` as a user runs them. */

import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { runCommand } from "../kit/command.ts"

const data = mkdtempSync(join(tmpdir(), "rdv-balance-config-"))
after(() => rmSync(data, { recursive: true }))
const simple = `${JSON.stringify({ Apps: [{ Name: "a", Ports: [7001, 7200], Targets: ["b.test:7001"] }] }, undefined, 2)}\n`

test("a good file is printed as it is understood, and converts to and fro", async () => {
  writeFileSync(join(data, "config.json"), simple)
  const checked = await runCommand(["balance", "check", "--resolve", "b.test=127.0.0.1"], { data })
  assert.equal(checked.code, 0, checked.stderr)
  assert.equal(
    checked.stdout,
    "resolve:\n  b.test: [127.0.0.1]\napps:\n  - name: a\n    ports: [7001, 7200]\n    targets: [b.test:7001]\n",
  )
  const yaml = await runCommand(["balance", "convert", "config.json"], { data })
  writeFileSync(join(data, "b.yaml"), yaml.stdout)
  const back = await runCommand(["balance", "convert", "b.yaml", "--to", "simple"], { data })
  assert.deepEqual(back, { code: 0, stdout: simple, stderr: "" })
})

test("a bad file is told with every mistake, for people and for programs", async () => {
  writeFileSync(join(data, "bad.yaml"), "apps:\n  - name: a\n    ports: [80, 80]\n    tragets: [b:1]\n")
  const checked = await runCommand(["balance", "check", "bad.yaml"], { data })
  assert.equal(checked.code, 2)
  assert.deepEqual(checked.stderr.trim().split("\n"), [
    'rdv: bad.yaml:2:5: there is no "targets": add it',
    'rdv: bad.yaml:4:5: "tragets" is not a key that is known here: did you mean "targets"?',
  ])
  const json = await runCommand(["balance", "check", "bad.yaml", "--json"], { data })
  const { good, problems } = JSON.parse(json.stdout) as { good: boolean; problems: readonly { mend: string }[] }
  assert.deepEqual(
    [json.code, good, problems.map(({ mend }) => mend)],
    [2, false, ["add it", 'did you mean "targets"?']],
  )
})
