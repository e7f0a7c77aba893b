/** For hints: the known name that a misspelt one probably meant. */

export function nearest(wrong: string, names: readonly string[]): string | undefined {
  // Nobody misspells a name into something much longer.
  if (wrong.length > 64) return undefined
  const ranked = names
    .map((name) => ({ name, far: name.startsWith(wrong) && wrong.length > 1 ? 0 : distance(wrong, name) }))
    .toSorted((a, b) => a.far - b.far)
  const [best] = ranked
  return best !== undefined && best.far <= Math.max(1, Math.floor(wrong.length / 3)) ? best.name : undefined
}

/** Levenshtein; names are short. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
