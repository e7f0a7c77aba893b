/**
 * What changes whenever a file is written, replaced, or a link on the way to it. Whoever watches files compares it every few
 * seconds, because editors, orchestrators and renewers write in place, rename or swap links, and no one event tells all of that.
 */

import { statSync } from "node:fs"
import type { BigIntStats } from "node:fs"
import { stat } from "node:fs/promises"

/** Never rejects: that a file is not there is a state, too. */
export async function fileState(file: string): Promise<string> {
  try {
    return textOf(await stat(file, { bigint: true }))
  } catch (error) {
    return codeOf(error)
  }
}

/** The same at once. */
export function fileStateNow(file: string): string {
  try {
    return textOf(statSync(file, { bigint: true }))
  } catch (error) {
    return codeOf(error)
  }
}

function textOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return `${dev} ${ino} ${size} ${mtimeNs}`
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? "unknown"
}
