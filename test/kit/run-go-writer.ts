/**
 * A process whose program in Go writes notes without end, and that prints each one once its request was answered: for
 * tests that kill it. Arguments: the program, the database.
 */

import { readFileSync, writeSync } from "node:fs"
import { goApp } from "../../src/tab-go.ts"
import { goServer, loadGoScript } from "./go-program.ts"

const [program = "", file = ""] = process.argv.slice(2)
await loadGoScript()
const { fetch } = await goServer({ app: goApp(new Uint8Array(readFileSync(program))), file })
let next = 0

/** Half of them in transactions of two. */
async function write(): Promise<never> {
  for (;;) {
    const word = `${process.pid}-${next++}`
    const path = next % 2 === 0 ? `/go/insert?text=${word}` : `/go/pair?first=${word}&second=${word}-too`
    const { status } = await fetch(path)
    // At once: what is printed is promised.
    if (status === 201) writeSync(1, `${word}\n`)
  }
}

await Promise.all(Array.from({ length: 8 }, write))
