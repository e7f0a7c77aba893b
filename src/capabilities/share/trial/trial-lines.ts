/** What a trial came to, for people. */

import { counted } from "../../../base/counted.ts"
import type { TrialSummary } from "./trial-summary.ts"

export function trialLines(summary: TrialSummary): string[] {
  const { clients, processes, bytes, seconds, times, bound, relay, sender, receivers, via, failed } = summary
  const { startSeconds, senderLinkCopies } = summary
  const lines = [
    `${mb(bytes)} to ${counted(clients, "receiver")} in ${counted(processes, "process", "processes")}: ${s(seconds)}${bound === undefined ? "" : `, ${(seconds / bound).toFixed(2)} times the least possible ${s(bound)}`}`,
    `  each      min ${s(times.min)}  median ${s(times.median)}  p95 ${s(times.p95)}  max ${s(times.max)}`,
    `  relay     ${cost(relay)}  in ${relay.inCopies.toFixed(2)} copies  out ${relay.outCopies.toFixed(2)}${relay.cpuSecondsPerGb === undefined ? "" : `  ${relay.cpuSecondsPerGb.toFixed(3)} CPU-s/GB`}`,
    `  sender    ${cost(sender)}${senderLinkCopies === undefined ? "" : `  its card sent ${senderLinkCopies.toFixed(2)} copies`}`,
    `  receivers ${cost(receivers)}  processes ready after ${s(startSeconds)}`,
    `  bytes     by the relay ${mb(via.relay)}  directly ${mb(via.direct)}  by multicast ${mb(via.cast)}`,
  ]
  for (const { client, reason } of failed) lines.push(`  failed    ${client}: ${reason}`)
  return lines
}

function cost({ cpuSeconds, peakBytes }: { readonly cpuSeconds: number; readonly peakBytes: number }): string {
  return `CPU ${cpuSeconds.toFixed(2)} s  peak ${Math.round(peakBytes / 2 ** 20)} MiB`
}

function s(seconds: number): string {
  return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`
}
