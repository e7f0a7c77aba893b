/**
 * Shell blocks of the documents that need a mount, run by the client of real Linux kernels: those marked
 * `no-run: a virtual machine runs it`. The blocks of one document are one script. A text block behind one shows what it
 * prints, to the letter. The guest has awk and the GNU tools, is root without sudo, and reaches this machine at another
 * address.
 */

import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { RunningChannels } from "../kit/running-channels.ts"
import { readSource, repositoryFiles } from "../repo/source-files.ts"
import { Vm, whyNoVm } from "./vm.ts"

interface Block {
  readonly line: number
  readonly code: string
  /** Undefined: it is not told. */
  readonly shown: string | undefined
}

const mark = "a virtual machine runs it"
const documents = repositoryFiles().filter((file) => file.endsWith(".md") && readSource(file).includes(`: ${mark}\n`))

suite("shell blocks of documents that need a mount", { concurrency: 2 }, () => {
  for (const kernel of ["6.1", "6.12"] as const) {
    for (const file of documents) {
      test(`${file}, Linux ${kernel}`, { skip: whyNoVm(kernel) ?? false, timeout: 100_000 }, async () => {
        const blocks = blocksOf(readSource(file))
        await using server = await RunningChannels.start()
        await using vm = await Vm.boot({ kernel, processors: 1 })
        const script = blocks.map(({ line, code }) => `echo ${marker(line)}\n${code}`).join("")
        const ended = await vm.run(`set -eu\n${inGuest(script, server.port)}`, { timeoutMs: 60_000 })
        const told = `${ended.stdout}\n${ended.stderr}`
        assert.equal(ended.code, 0, told)
        for (const { line, shown } of blocks) {
          const [, behind = ""] = ended.stdout.split(`${marker(line)}\n`)
          if (shown !== undefined) assert.equal(behind.split(/^-- line /m)[0], shown, `${file}:${line}\n${told}`)
        }
      })
    }
  }
})

function blocksOf(text: string): readonly Block[] {
  const pattern = new RegExp(
    `^\`\`\`sh no-run: ${mark}\\n([^]*?)^\`\`\`\\n(?:\\n\`\`\`text\\n([^]*?)^\`\`\`\\n)?`,
    "gm",
  )
  return [...text.matchAll(pattern)].map((match) => ({
    line: text.slice(0, match.index).split("\n").length + 1,
    code: match[1] as string,
    shown: match[2],
  }))
}

function marker(line: number): string {
  return `-- line ${line}`
}

function inGuest(script: string, port: number): string {
  return script
    .replaceAll("port=5640", `port=${port}`)
    .replaceAll(/(?<=version=9p2000\.L\S* )127\.0\.0\.1/g, "10.0.2.2")
    .replaceAll(/\bsudo /g, "")
}
