/**
 * Looks header fields up in the flat list (name, value, name, value) that heads carry. Who carries heads and who upgrades
 * connections have to read the same list alike.
 */

/** The first value of a field, or undefined. `lowerName` is in lower case. */
export function headerValue(headers: readonly string[], lowerName: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) {
    if (isName(headers[at] as string, lowerName)) return headers[at + 1]
  }
  return undefined
}

/** All values of a field, in order. */
export function headerValues(headers: readonly string[], lowerName: string): string[] {
  const values: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    if (isName(headers[at] as string, lowerName)) values.push(headers[at + 1] as string)
  }
  return values
}

/**
 * Whether a field that is a comma-separated list (`Connection`, `Expect`, `Upgrade`) holds a word, over all of its lines.
 * Both texts are given in lower case; the list is compared without regard to case.
 */
export function hasToken(headers: readonly string[], lowerName: string, lowerToken: string): boolean {
  for (let at = 0; at < headers.length; at += 2) {
    if (isName(headers[at] as string, lowerName) && listHas(headers[at + 1] as string, lowerToken)) return true
  }
  return false
}

/** Compares a field name with one in lower case, without allocating. */
export function isName(name: string, lowerName: string): boolean {
  return name.length === lowerName.length && (name === lowerName || matchesAt(name, 0, lowerName))
}

/** The words of a comma-separated list, without empty ones (RFC 9110 section 5.6.1). */
export function listWords(value: string): string[] {
  const words: string[] = []
  for (const part of value.split(",")) {
    const word = part.replace(/^[ \t]+|[ \t]+$/g, "")
    if (word !== "") words.push(word)
  }
  return words
}

function listHas(value: string, lowerToken: string): boolean {
  let from = 0
  while (from <= value.length) {
    const comma = value.indexOf(",", from)
    const next = comma < 0 ? value.length : comma
    let to = next
    while (from < to && isSpace(value.charCodeAt(from))) from++
    while (to > from && isSpace(value.charCodeAt(to - 1))) to--
    if (to - from === lowerToken.length && matchesAt(value, from, lowerToken)) return true
    from = next + 1
  }
  return false
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9
}

function matchesAt(text: string, from: number, lower: string): boolean {
  for (let at = 0; at < lower.length; at++) {
    const code = text.charCodeAt(from + at)
    const wanted = lower.charCodeAt(at)
    if (code !== wanted && (code < 65 || code > 90 || code + 32 !== wanted)) return false
  }
  return true
}
