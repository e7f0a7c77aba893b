/**
 * Figures as people read them, the same in the terminal and on the page: three significant digits where more would only
 * pretend, thousands in groups, a unit that fits.
 */

/** µs as ms, without the unit: `0.042`, `1.234`, `12.34`, `123.4`, `1,234`. */
export function milliseconds(us: number): string {
  if (!Number.isFinite(us)) return "–"
  const ms = us / 1000
  if (ms < 9.9995) return ms.toFixed(3)
  if (ms < 99.995) return ms.toFixed(2)
  if (ms < 999.95) return ms.toFixed(1)
  return whole(ms)
}

/** `12,345` */
export function whole(value: number): string {
  if (!Number.isFinite(value)) return "–"
  return Math.round(value)
    .toString()
    .replaceAll(/\B(?=(?:\d{3})+$)/g, ",")
}

/** Per second, without the unit: `0.52`, `12.3`, `1,234`. */
export function perSecond(value: number): string {
  if (!Number.isFinite(value)) return "–"
  if (value === 0) return "0"
  if (value < 9.995) return short(value, 2)
  if (value < 99.95) return short(value, 1)
  return whole(value)
}

/** `12 B`, `1.5 MB`; powers of ten. */
export function byteCount(bytes: number): string {
  if (!Number.isFinite(bytes)) return "–"
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < byteUnits.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? whole(value) : short(value, value < 9.95 ? 2 : value < 99.5 ? 1 : 0)} ${byteUnits[unit] ?? ""}`
}

const byteUnits = ["B", "kB", "MB", "GB", "TB", "PB"]

/** A length of time: `250 ms`, `1.5 s`, `2 min 5 s`, `1 h 3 min`. */
export function lasting(ms: number): string {
  if (!Number.isFinite(ms)) return "–"
  if (ms < 1000) return `${short(ms, ms < 10 ? 1 : 0)} ms`
  if (ms < 119_950) return `${short(ms / 1000, ms < 59_950 ? 1 : 0)} s`
  const seconds = Math.round(ms / 1000)
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  if (hours > 0) return `${hours} h${minutes > 0 ? ` ${minutes} min` : ""}`
  return `${minutes} min${rest > 0 ? ` ${rest} s` : ""}`
}

/** `0.12 %`; nothing when there is no whole. */
export function share(part: number, of: number): string {
  if (!(of > 0)) return ""
  const percent = (part / of) * 100
  if (percent === 0 || percent === 100) return `${percent} %`
  if (percent < 0.01) return "<0.01 %"
  // What is not all shall not look like it.
  if (percent > 99.99) return ">99.99 %"
  return `${percent.toFixed(2)} %`
}

/** `1 message`, `2 messages`. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${whole(count)} ${count === 1 ? one : many}`
}

/** At most so many decimals, none that say nothing. */
function short(value: number, decimals: number): string {
  return String(Number(value.toFixed(decimals)))
}
