/** One clock for all processes of a machine. */

/** Seconds since an unknown time. */
export function machineSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9
}
