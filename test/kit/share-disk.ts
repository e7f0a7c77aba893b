/** For tests of shares on disks: keys, trees, and a receiver that gets every chunk. */

import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import type { ChunkCrypto } from "../../src/capabilities/share/content/chunk-crypto.ts"
import type { Content } from "../../src/capabilities/share/content/content.ts"
import { fileContent } from "../../src/capabilities/share/disk/file-content.ts"
import type { FileContentOptions } from "../../src/capabilities/share/disk/file-content.ts"
import { folderTarget } from "../../src/capabilities/share/disk/folder-target.ts"
import { removeTree } from "../../src/capabilities/share/disk/remove-tree.ts"
import { nodeCrypto } from "../../src/capabilities/share/node/node-crypto.ts"
import type { Finished, TargetHoldings, TargetVersion } from "../../src/capabilities/share/peer/target.ts"

const key = (byte: number) => new Uint8Array(32).fill(byte)

export const trialCrypto: ChunkCrypto = nodeCrypto({
  access: key(1),
  identity: key(2),
  seal: key(3),
  table: key(4),
  peer: key(5),
})

/** Removed behind the test. */
export function trialFolder(t: TestContext): string {
  const folder = fs.mkdtempSync(join(tmpdir(), "rdv-disk-"))
  t.after(() => removeTree(folder))
  return folder
}

export function versionOf({ table, manifest }: Content): TargetVersion {
  return { table, manifest, crypto: trialCrypto }
}

/** Stores what is missing, in any order. Returns how many chunks that were. */
export async function storeAll(from: Content, to: TargetHoldings, most: number = Infinity): Promise<number> {
  const missing = [...to.have.missing()].slice(0, most)
  for (const chunk of missing.toReversed()) await to.store(chunk, (await from.read(chunk)).slice())
  return missing.length
}

export type Outcome = Finished & { readonly stored: number; readonly foundBytes: number }

/** Publishes, stores everything, finishes. */
export async function copy(
  options: Partial<FileContentOptions>,
  from: string,
  path: string,
  overwrite = false,
): Promise<Outcome> {
  const content = await fileContent({ paths: [from], crypto: trialCrypto, chunkBytes: 4096, ...options })
  const holdings = await folderTarget({ path, overwrite, sync: false }).open(versionOf(content))
  const stored = await storeAll(content, holdings)
  const finished = await holdings.finish()
  await holdings.close()
  await content.close()
  return { ...finished, stored, foundBytes: holdings.foundBytes }
}

/** Everything about what is below a path that a share keeps, by path. */
export function picture(root: string): Map<string, string> {
  const seen = new Map<string, string>()
  const visit = (path: Buffer, below: string) => {
    const stat = fs.lstatSync(path)
    const mode = (stat.mode & 0o777).toString(8)
    const time = Math.floor(stat.mtimeMs)
    if (stat.isSymbolicLink()) seen.set(below, `link ${fs.readlinkSync(path, "latin1")}`)
    else if (stat.isFile()) seen.set(below, `file ${mode} ${time} ${fs.readFileSync(path).toString("base64")}`)
    else {
      if (below !== "") seen.set(below, `folder ${mode} ${time}`)
      for (const name of fs.readdirSync(path, { encoding: "buffer" })) {
        visit(Buffer.concat([path, Buffer.from("/"), name]), `${below}/${name.toString("latin1")}`)
      }
    }
  }
  visit(Buffer.from(root), "")
  return seen
}

/** Something of a tree; the path is bytes as Latin-1. */
export interface Planted {
  readonly path: string
  readonly kind: "file" | "folder" | "link"
  readonly body: Uint8Array
  readonly mode: number
  readonly timeMs: number
}

/** Makes a tree. What collides with what is there, or is no name, is left out. */
export function plant(root: string, things: readonly Planted[]): void {
  fs.mkdirSync(root, { recursive: true })
  const folders: (() => void)[] = []
  for (const { path: below, kind, body, mode, timeMs } of things) {
    const path = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(below, "latin1")])
    const dress = () => {
      fs.utimesSync(path, 1, timeMs / 1000)
      // Only root reads what nobody may read.
      fs.chmodSync(path, process.getuid?.() === 0 ? mode : mode | (kind === "folder" ? 0o500 : 0o400))
    }
    // No way out, by `..` or through a link.
    if (/(^|\/)\.{0,2}(\/|$)/.test(below)) continue
    try {
      fs.mkdirSync(path.subarray(0, path.lastIndexOf("/")), { recursive: true })
      if (kind === "link") fs.symlinkSync("some/where", path)
      else if (kind === "folder") {
        fs.mkdirSync(path)
        folders.push(dress)
      } else {
        fs.writeFileSync(path, body, { flag: "wx" })
        dress()
      }
    } catch {
      // Another thing has the name, or it is none: then this is another tree.
    }
  }
  for (const dress of folders.toReversed()) dress()
}
