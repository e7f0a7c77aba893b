/** `rdv doctor`: what is wrong with a set-up, in the order in which things are needed. */

import { parseAddress, printAddress } from "../transport/address.ts"
import { commonFlags, dataFlag, dialOf, foldersOf, relayAddress, relayFlags, tokenOf } from "./common-flags.ts"
import { exitCode } from "./command.ts"
import type { Command, CommandCall } from "./command.ts"
import { checkFolders, checkLocalhost, checkNode, checkProxy, checkTarget } from "./doctor-checks.ts"
import type { Finding } from "./doctor-checks.ts"
import { checkRelay } from "./doctor-relay.ts"
import { printable } from "./output.ts"

export const doctorCommand: Command = {
  name: "doctor",
  summary: "Says what is wrong with a set-up, and how to mend it.",
  usage: "[TARGET] [flags]",
  words: [0, 1],
  flags: { ...relayFlags, ...dataFlag, ...commonFlags },
  examples: [
    ["rdv doctor", "this machine alone"],
    ["rdv doctor 3000 --relay tls://example.test:443 --token-file ~/.rdv.token", "the whole way of a tunnel"],
  ],
  notes: ["The exit code is 1 when something failed; warnings do not count."],
  run,
}

async function run(call: CommandCall): Promise<number> {
  let failures = 0
  for await (const finding of findings(call)) {
    if (call.stopping.aborted) return exitCode.interrupted
    if (finding.verdict === "fail") failures++
    tell(call, finding)
  }
  return failures === 0 ? exitCode.ok : exitCode.failure
}

async function* findings(call: CommandCall): AsyncGenerator<Finding> {
  const { flags, words } = call
  const relayText = flags.text("relay")
  const dial = dialOf(call)
  const address = relayText === undefined ? undefined : parseAddress(relayAddress(relayText), "tcp")
  const token = address === undefined ? undefined : tokenOf(call)
  yield checkNode()
  yield checkFolders(foldersOf(call))
  if (address !== undefined) {
    if ("host" in address) yield checkProxy(call.env, dial.proxy, address.host)
    const tokenInClear = flags.on("token-in-clear")
    yield* checkRelay({ address, relay: printAddress(address), token, tokenInClear, dial })
  } else yield await checkLocalhost()
  const [target] = words
  if (target !== undefined) yield await checkTarget(target)
}

const styles = { ok: "green", warn: "yellow", fail: "red" } as const

function tell({ output }: CommandCall, { check, verdict, text, mend }: Finding): void {
  output.record({ check, verdict, text, ...(mend !== undefined && { mend }) })
  output.line(`${output.paint(styles[verdict], verdict.padEnd(4))}  ${check.padEnd(11)}  ${printable(text)}`)
  if (mend !== undefined) output.line(`${" ".repeat(19)}→ ${mend}`)
}
