/** Puts what was said into the page, between the marks of that benchmark. */

import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Options } from "./options.ts"
import { said } from "./table.ts"

const page = join(import.meta.dirname, "..", "docs", "benchmarks.md")

/** Throws when the page has no place for it. */
export function writeDocs(name: string, options: Options): void {
  const text = readFileSync(page, "utf8")
  const match = new RegExp(`(<!-- ${name}:begin[^>]*-->\\n)[^]*(<!-- ${name}:end -->)`).exec(text)
  if (match === null) throw new Error(`${page} has no ${name}:begin and ${name}:end`)
  const only = options.only === undefined ? "" : ` --only ${options.only.join(",")}`
  const command = `npm run bench -- ${name}${only} --rounds ${options.rounds} --seconds ${options.seconds} --write`
  const day = new Date().toISOString().slice(0, 10)
  const whole = `${match[1]}\n${day}, \`${command}\`.\n\n${said().trim()}\n\n${match[2]}`
  writeFileSync(
    page,
    text.replace(match[0], () => whole),
  )
  process.stdout.write(`\nWritten into ${page}\n`)
}
