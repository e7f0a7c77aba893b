/** Numbers of users or groups as clients have them → as they are here: `1000=2000`, `0=65534`, `*=1000`. */

import { RdvError } from "../../../base/error.ts"

/** `what` names the flag. Throws `usage`. */
export function readIdMap(rules: readonly string[], what: string): (id: number) => number {
  const map = new Map<number, number>()
  let rest: number | undefined
  for (const rule of rules) {
    const match = /^(\d{1,10}|\*)=(\d{1,10})$/.exec(rule)
    if (match === null || Number(match[2]) > 0xffff_fffe) {
      throw new RdvError("usage", `${what} ${JSON.stringify(rule)} is no mapping`, { mend: "write FROM=TO, or *=TO" })
    }
    if (match[1] === "*") rest = Number(match[2])
    else map.set(Number(match[1]), Number(match[2]))
  }
  return (id) => map.get(id) ?? rest ?? id
}
