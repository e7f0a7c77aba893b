/** Whom a file that an earlier run left may be believed of. */

import type { Stats } from "node:fs"

/** False: another user's file, or one that has a second name, may be changed by somebody else. */
export function isOurs(stat: Stats): boolean {
  const user = process.getuid?.()
  return (user === undefined || stat.uid === user) && (stat.isDirectory() || stat.nlink === 1)
}
