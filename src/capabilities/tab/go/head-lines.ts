/** Heads of messages as lines: what comes first is the message's own, then names and values of fields by turns. */

/** Fields from line `at` on. What is none is left out, as Go's own server does. */
export function fieldsOf(lines: readonly string[], at: number): Headers {
  const headers = new Headers()
  for (; at + 1 < lines.length; at += 2) {
    try {
      headers.append(lines[at] as string, lines[at + 1] as string)
    } catch {
      continue
    }
  }
  return headers
}

/** Each with a line feed in front. */
export function linesOf(headers: Headers): string {
  let lines = ""
  for (const [name, value] of headers) lines += `\n${name}\n${value}`
  return lines
}
