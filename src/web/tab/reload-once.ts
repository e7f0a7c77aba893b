/** Reloads that mend something, with a guard: a page that comes back the same again and again stays. */

const item = "rdv reloads"
const spanMs = 20_000
const most = 3

/** False: it was tried, and did not help. */
export function reloadOnce(): boolean {
  const now = Date.now()
  const recent = times().filter((time) => now - time < spanMs && time <= now)
  if (recent.length >= most) return false
  try {
    sessionStorage.setItem(item, JSON.stringify([...recent, now]))
  } catch {
    // A frame without storage does not count, and so does not reload.
    return false
  }
  location.reload()
  return true
}

/** What comes after this is another matter. */
export function reloadHelped(): void {
  try {
    sessionStorage.removeItem(item)
  } catch {
    // Nothing is kept.
  }
}

function times(): readonly number[] {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(item) ?? "[]")
    return Array.isArray(kept) ? kept.filter((time) => typeof time === "number") : []
  } catch {
    return []
  }
}
