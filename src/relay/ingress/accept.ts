/** Which form of an error answer a visitor prefers: what its `Accept` header says (RFC 9110 section 12.5.1). */

export type Format = "html" | "json" | "text"

/** Formats that the relay can give, the preferred one first: programs that accept anything get text. */
const offers: readonly (readonly [type: string, format: Format])[] = [
  ["text/plain", "text"],
  ["text/html", "html"],
  ["application/problem+json", "json"],
  ["application/json", "json"],
]

/**
 * RFC 9110 section 12.5.1: for each offer the most specific range decides; the highest weight wins, then the more specific
 * range, then the one named first. A visitor that accepts none of them gets text: better than an empty 406.
 */
export function preferredFormat(accept: string | undefined): Format {
  // 32 ranges are more than any browser sends; the rest cannot cost time.
  const ranges = (accept ?? "*/*").split(",", 32).map(readRange)
  let best: { format: Format; q: number; specificity: number; at: number } | undefined
  for (const [type, format] of offers) {
    const major = type.slice(0, type.indexOf("/"))
    let match: { q: number; specificity: number; at: number } | undefined
    for (const [at, range] of ranges.entries()) {
      const specificity = range.type === type ? 2 : range.type === `${major}/*` ? 1 : range.type === "*/*" ? 0 : -1
      if (specificity > (match?.specificity ?? -1)) match = { q: range.q, specificity, at }
    }
    if (match === undefined || match.q === 0) continue
    // The same range (`*/*`) leaves the choice to the order of the offers.
    const ahead = best && (match.q - best.q || match.specificity - best.specificity || best.at - match.at)
    if (ahead === undefined || ahead > 0) best = { format, ...match }
  }
  return best?.format ?? "text"
}

function readRange(text: string): { type: string; q: number } {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase())
  const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2)
  // A weight that is not one counts as 1, as if it had not been sent.
  return { type, q: weight !== undefined && /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 1 }
}
