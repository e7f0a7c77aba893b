/** Rules like `/jobs:r` and `/team/results:rw`: what may be done at a path and below it. */

export type PathAct = "receive" | "send"

/** A path with `r` (receive), `w` (send) or both behind a colon. */
export function isPathRule(rule: string): boolean {
  return rule.length <= 4_096 && /^\/([^/\s]+(\/[^/\s]+)*)?:(r|w|rw)$/.test(rule)
}

/** `path` is absolute. A rule for `/a` holds for `/a` and everything below it, not for `/ab`. Without rules all is allowed. */
export function allowsPath(rules: readonly string[] | undefined, path: string, act: PathAct): boolean {
  if (rules === undefined) return true
  const letter = act === "receive" ? "r" : "w"
  return rules.some((rule) => {
    const colon = rule.lastIndexOf(":")
    const top = rule.slice(0, colon)
    return (top === "/" || path === top || path.startsWith(`${top}/`)) && rule.includes(letter, colon)
  })
}

/** Whether something at the path or below it is allowed: whoever may not see what is in a folder still has to pass it. */
export function leadsToAllowed(rules: readonly string[] | undefined, path: string): boolean {
  if (rules === undefined || path === "/") return true
  return rules.some((rule) => {
    const top = rule.slice(0, rule.lastIndexOf(":"))
    return top === "/" || path === top || path.startsWith(`${top}/`) || top.startsWith(`${path}/`)
  })
}
