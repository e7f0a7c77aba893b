/** Opens sessions to a relay that offer nothing, then keeps them and says so. */

import { silentLog, startAgent } from "../../src/node.ts"

const { relay, count } = JSON.parse(process.argv[2] ?? "{}") as { readonly relay: string; readonly count: number }
const atOnce = 50
for (let opened = 0; opened < count; opened += atOnce) {
  await Promise.all(Array.from({ length: Math.min(atOnce, count - opened) }, open))
}
process.stdout.write("ready\n")

function open(): Promise<void> {
  return new Promise((resolve, reject) => {
    startAgent({
      relay,
      log: silentLog,
      onEvent: (event) => {
        if (event.kind === "up") resolve()
        else if (event.kind === "failed" || event.kind === "down") reject(event.error)
      },
    })
  })
}
