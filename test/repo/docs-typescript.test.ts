/** Runs the TypeScript of the documents, each block as a program of its own against the sources. */

import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { channelRig } from "../kit/channel-rig.ts"
import { temporaryFolder } from "../kit/command.ts"
import { readSource, root } from "./source-files.ts"

const run = promisify(execFile)
const document = "docs/how-to/channels-from-typescript.md"
const entry = pathToFileURL(join(root, "src", "channels.ts")).href

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

test("the programs of the how-to for channels do what it says", { timeout: 60_000 }, async (t) => {
  const rig = await channelRig(t)
  using folder = temporaryFolder()
  const blocks = blocksOf(readSource(document))
  assert.deepEqual(
    blocks.map(({ heading }) => heading),
    Object.keys(promised),
  )
  for (const [at, { heading, code }] of blocks.entries()) {
    const file = join(folder.path, `block-${at}.ts`)
    writeFileSync(file, code.replaceAll('"rdv/channels"', JSON.stringify(entry)).replaceAll("5640", String(rig.port)))
    const { stdout } = await run(process.execPath, [file], { timeout: 20_000 })
    assert.match(stdout, promised[heading] as RegExp, heading)
  }
})
