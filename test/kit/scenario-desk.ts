/** Reads scenarios as the command line would, in a folder of its own. */

import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { RdvError } from "../../src/base/error.ts"
import { scenarioFlags } from "../../src/capabilities/load/scenario/flags.ts"
import type { FlagValues } from "../../src/capabilities/load/scenario/flags.ts"
import { readScenario } from "../../src/capabilities/load/scenario/read-scenario.ts"
import type { Scenario } from "../../src/capabilities/load/scenario/scenario.ts"
import { problemsOf } from "../../src/config/problems.ts"

export class ScenarioDesk implements Disposable {
  #written = 0
  readonly folder: string = mkdtempSync(join(tmpdir(), "rdv-scenario-"))

  /** The whole path. */
  write(content: string, name: string = `scenario-${this.#written++}.yaml`): string {
    const path = join(this.folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
    return path
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true })
  }

  /** Words and `--flag value` pairs. */
  read(...args: readonly string[]): Scenario {
    const words: string[] = []
    const given = new Map<string, string[]>()
    for (let at = 0; at < args.length; at++) {
      const arg = args[at] as string
      if (!arg.startsWith("--")) {
        words.push(arg)
        continue
      }
      const flag = scenarioFlags[arg.slice(2)]
      assert.ok(flag, arg)
      const values = given.get(arg.slice(2)) ?? []
      values.push(flag.kind === "switch" ? "true" : (args[++at] as string))
      given.set(arg.slice(2), values)
    }
    const flags: FlagValues = {
      has: (name) => given.has(name),
      on: (name) => given.get(name)?.at(-1) === "true",
      text: (name) => given.get(name)?.at(-1) ?? scenarioFlags[name]?.default,
      values: (name) => given.get(name) ?? [],
    }
    return readScenario(words, flags, this.folder)
  }

  /** Each problem as a terminal shows it, without the folder; nothing else may be thrown. */
  complaints(...args: readonly string[]): string[] {
    try {
      this.read(...args)
    } catch (error) {
      assert.ok(error instanceof RdvError && error.code === "usage", String(error))
      return problemsOf(error).map(({ message, mend }) =>
        (mend === undefined ? message : `${message}: ${mend}`).replaceAll(`${this.folder}/`, ""),
      )
    }
    return []
  }
}

/** A file of Apps with three ports. */
export const sampleApps: string = JSON.stringify({
  Apps: [
    { Name: "five-thousand", Ports: [5001, 5200], Targets: ["echo.example.test:5001"] },
    { Name: "six-thousand", Ports: [6001], Targets: ["echo.example.test:6001", "bad.example.test:6003"] },
  ],
})
