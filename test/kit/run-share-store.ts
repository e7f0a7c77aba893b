/** Receives a file into a folder, as slowly as a test wants, to be killed meanwhile: SOURCE TARGET CHUNKING. Prints a line per chunk. */

import { fileContent } from "../../src/capabilities/share/disk/file-content.ts"
import type { Chunking } from "../../src/capabilities/share/disk/file-content.ts"
import { folderTarget } from "../../src/capabilities/share/disk/folder-target.ts"
import { trialCrypto, versionOf } from "./share-disk.ts"

const [source = "", path = "", chunking = "fixed"] = process.argv.slice(2)
const content = await fileContent({
  paths: [source],
  crypto: trialCrypto,
  chunking: chunking as Chunking,
  chunkBytes: 16_384,
})
const holdings = await folderTarget({ path, sync: false }).open(versionOf(content))
process.stdout.write(`found ${holdings.foundBytes}\n`)
for (const chunk of holdings.have.missing()) {
  await holdings.store(chunk, await content.read(chunk))
  process.stdout.write(`${chunk}\n`)
  await new Promise((resolve) => setTimeout(resolve, 3))
}
await holdings.finish()
await holdings.close()
await content.close()
process.stdout.write("done\n")
