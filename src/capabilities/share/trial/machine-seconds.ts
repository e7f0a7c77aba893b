/** Seconds since an unknown time that all processes of this machine share. */
export function machineSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9
}
