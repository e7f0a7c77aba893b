/** Which files are behind chunks that nobody has: people know files, chunks are the protocol's business. */

import type { Bitmap } from "../content/bitmap.ts"
import type { Manifest } from "../content/manifest.ts"

/** Chunks that nobody who is here has. */
export interface Nowhere {
  readonly ranges: readonly (readonly [number, number])[]
  /** Beyond the ranges. */
  readonly more: number
}

export interface MissingFiles {
  /** In the order of the manifest, at most three. */
  readonly files: readonly MissingFile[]
  /** Beside those. */
  readonly moreFiles: number
  /** Of all of them. */
  readonly bytes: number
}

export interface MissingFile {
  /** Below the folder that is shared; of a file alone its name. */
  readonly path: string
  /** That are missing, of `ofBytes`. */
  readonly bytes: number
  readonly ofBytes: number
}

/** Works it out when something has changed: it is asked several times a second. */
export class NowhereFiles {
  #last: { readonly nowhere: Nowhere; readonly count: number; readonly files: MissingFiles } | undefined

  of(
    nowhere: Nowhere | undefined,
    job:
      | { readonly manifest: Manifest | undefined; readonly target: { readonly have: Bitmap } | undefined }
      | undefined,
  ): MissingFiles | undefined {
    const { manifest, target } = job ?? {}
    if (nowhere === undefined || manifest === undefined || target === undefined) return undefined
    const { have } = target
    const { count } = have
    if (this.#last?.nowhere === nowhere && this.#last.count === count) return this.#last.files
    const { ranges, more } = nowhere
    const told = ranges.reduce((sum, [first, last]) => sum + last - first + 1, more)
    // Of many scattered ones the relay tells some; most often they are all that is missing.
    const isAll = told >= have.length - count
    const isTold = (chunk: number) => isAll || ranges.some(([first, last]) => chunk >= first && chunk <= last)
    const files = missingFiles(manifest, (chunk) => !have.has(chunk) && isTold(chunk))
    this.#last = { nowhere, count, files }
    return files
  }
}

export function missingFiles({ name, entries, pieces }: Manifest, isMissing: (chunk: number) => boolean): MissingFiles {
  const files: MissingFile[] = []
  let moreFiles = 0
  let sum = 0
  let next = 0
  /** Of the piece before `next`, what belongs to the next file. */
  let rest = 0
  let isRestMissing = false
  for (const entry of entries) {
    if (entry.type !== "file") continue
    let bytes = 0
    for (let left = entry.size; left > 0;) {
      if (rest === 0) {
        const piece = pieces[next++]
        if (piece === undefined) break
        rest = piece.length
        isRestMissing = piece.chunk !== "zeros" && isMissing(piece.chunk)
      }
      const part = Math.min(rest, left)
      if (isRestMissing) bytes += part
      rest -= part
      left -= part
    }
    if (bytes === 0) continue
    sum += bytes
    if (files.length < mostFiles) files.push({ path: entry.path || name, bytes, ofBytes: entry.size })
    else moreFiles++
  }
  return { files, moreFiles, bytes: sum }
}

const mostFiles = 3
