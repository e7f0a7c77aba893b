/** Bytes, rates and times as the lines of `rdv share` and `rdv get` show them. */

/** `1.2 MiB`; whole from 100 on, so that a line does not jump. */
export function amount(bytes: number): string {
  let value = Math.max(0, bytes)
  let unit = 0
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  const shown = unit === 0 || value >= 99.95 ? Math.round(value).toString() : value.toFixed(1)
  return `${shown} ${units[unit]}`
}

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const

export function rate(bytesPerSecond: number): string {
  return `${amount(bytesPerSecond)}/s`
}

/** `8 s`, `3:05 min`, `2:30 h`, `4 d`. */
export function lasting(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 100) return `${seconds} s`
  if (seconds < 6_000) return `${Math.floor(seconds / 60)}:${two(seconds % 60)} min`
  const minutes = Math.round(seconds / 60)
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)}:${two(minutes % 60)} h`
  return `${Math.round(minutes / 1_440)} d`
}

/** What something took: `0.3 s`; as `lasting` from ten seconds on. */
export function took(ms: number): string {
  return ms < 9_950 ? `${(Math.max(0, ms) / 1_000).toFixed(1)} s` : lasting(ms)
}

/** Whole, and 100 only when it is everything. */
export function percent(part: number, whole: number): number {
  if (whole <= 0 || part >= whole) return 100
  return Math.min(99, Math.max(0, Math.floor((part / whole) * 100)))
}

function two(number: number): string {
  return String(number).padStart(2, "0")
}
