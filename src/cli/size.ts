/** Amounts of bytes for people. */

/** `1.2 KiB`. */
export function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
  let value = bytes
  let at = 0
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024
    at++
  }
  return `${value >= 100 ? Math.round(value) : Math.round(value * 10) / 10} ${units[at]}`
}
