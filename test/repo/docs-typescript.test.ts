/** Runs the TypeScript of the documents, each block as a program of its own against the sources. */

import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { silentLog } from "../../src/base/log.ts"
import { startRelay } from "../../src/node.ts"
import { startShareRelay } from "../../src/start-share-relay.ts"
import { channelRig } from "../kit/channel-rig.ts"
import { temporaryFolder } from "../kit/command.ts"
import { readSource, root } from "./source-files.ts"

const run = promisify(execFile)

interface Block {
  readonly heading: string
  readonly code: string
}

function blocksOf(text: string): Block[] {
  const blocks: Block[] = []
  let heading = ""
  for (const [all, code] of text.matchAll(/^## .*$|^```ts\n([\s\S]*?)^```/gm)) {
    if (code === undefined) heading = all.slice(3)
    else blocks.push({ heading, code })
  }
  return blocks
}

/** What the comments behind `console.log` promise, where they promise one value. */
const promised: { readonly [heading: string]: RegExp } = {
  "In one process": /^worker has first\nworker has second\n$/,
  "Over a network": /^\{ id: 7 \}\n$/,
  "When is a message done?": /^poison\n$/,
  "Not for ever": /^timeout\nwould_block\nTimeoutError\n$/,
  Select: /^\/input work\n\/quit enough\n$/,
  Fast: /^49995000\n50000000\n$/,
  "What is there": /^\/jobs 0 [\d.]+\n\/team\/news 0 0\n64\n2 channels\n$/,
}

/** The same for shares. */
const promisedOfShares: { readonly [heading: string]: RegExp } = {
  "Share and receive": /^la la la\n$/,
  "Hear what happens": /^(?:numbers\.txt 7\nanna has it|anna has it\nnumbers\.txt 7)\n$/,
  "A code that is typed": /^482713-lusab-babad-gutih-tugad-bivuj\nusage\n$/,
}

interface Programs {
  readonly document: string
  /** `channels`: the face that they import, `rdv/channels`. */
  readonly face: string
  /** The port that the document writes, and the one that it is here. */
  readonly port: readonly [string, number]
  readonly promised: { readonly [heading: string]: RegExp }
}

async function runPrograms({ document, face, port, promised: wanted }: Programs): Promise<void> {
  using folder = temporaryFolder()
  const blocks = blocksOf(readSource(document))
  assert.deepEqual(
    blocks.map(({ heading }) => heading),
    Object.keys(wanted),
  )
  const entry = pathToFileURL(join(root, "src", `${face}.ts`)).href
  for (const [at, { heading, code }] of blocks.entries()) {
    const file = join(folder.path, `block-${at}.ts`)
    const here = code.replaceAll(`"rdv/${face}"`, JSON.stringify(entry)).replaceAll(port[0], String(port[1]))
    writeFileSync(file, here)
    const { stdout } = await run(process.execPath, [file], { timeout: 20_000 })
    assert.match(stdout, wanted[heading] as RegExp, heading)
  }
}

test("the programs of the how-to for channels do what it says", { timeout: 60_000 }, async (t) => {
  const { port } = await channelRig(t)
  await runPrograms({
    document: "docs/how-to/channels-from-typescript.md",
    face: "channels",
    port: ["5640", port],
    promised,
  })
})

test("the programs of the how-to for shares do what it says", { timeout: 60_000 }, async (t) => {
  const relay = await startRelay({ listen: ["127.0.0.1:0"], store: ":memory:", open: true, log: silentLog })
  t.after(() => relay.stop())
  const { port } = relay.addresses[0] as { port: number }
  startShareRelay(relay, { url: `http://127.0.0.1:${port}`, log: silentLog })
  await runPrograms({
    document: "docs/how-to/share-from-typescript.md",
    face: "share",
    port: ["8080", port],
    promised: promisedOfShares,
  })
})
