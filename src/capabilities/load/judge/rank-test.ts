/**
 * The Mann-Whitney rank test, two-sided: how often chance alone would order two groups at least as differently as they
 * are, were they of one kind. It asks nothing of the values but their order. Exact, also with ties, for groups of up to
 * 40 together; beyond, by the normal approximation.
 */

const mostExact = 40

/** From 0 to 1; 1 when a group is empty. */
export function rankTest(a: readonly number[], b: readonly number[]): number {
  if (a.length === 0 || b.length === 0) return 1
  const { doubled, ties } = ranksOf([...a, ...b])
  const sum = doubled.slice(0, a.length).reduce((total, rank) => total + rank, 0)
  return doubled.length <= mostExact ? exact(doubled, a.length, sum) : approximate(a.length, b.length, sum / 2, ties)
}

/** The least that the test can say with so many values a side: when all of one lie above all of the other. */
export function leastOfRankTest(a: number, b: number): number {
  return rankTest(
    Array.from({ length: a }, (_, at) => at),
    Array.from({ length: b }, (_, at) => a + at),
  )
}

/** Ranks times two, so that the middle rank of ties is whole; and the size of each tie. */
function ranksOf(values: readonly number[]): { readonly doubled: readonly number[]; readonly ties: readonly number[] } {
  const order = values.map((_, at) => at).toSorted((one, other) => (values[one] ?? 0) - (values[other] ?? 0))
  const doubled = values.map(() => 0)
  const ties: number[] = []
  for (let from = 0; from < order.length;) {
    let to = from + 1
    while (to < order.length && values[order[to] ?? 0] === values[order[from] ?? 0]) to++
    for (const place of order.slice(from, to)) doubled[place] = from + 1 + to
    ties.push(to - from)
    from = to
  }
  return { doubled, ties }
}

/** Over all ways to choose `size` of the ranks: the share of those whose sum is at least as far from the mean. */
function exact(doubled: readonly number[], size: number, sum: number): number {
  const highest = doubled.reduce((total, rank) => total + rank, 0)
  const ways = Array.from({ length: size + 1 }, () => new Float64Array(highest + 1))
  const first = ways[0]
  if (first !== undefined) first[0] = 1
  for (const rank of doubled) {
    for (let chosen = size; chosen >= 1; chosen--) {
      const to = ways[chosen] ?? new Float64Array(0)
      const from = ways[chosen - 1] ?? new Float64Array(0)
      for (let total = highest; total >= rank; total--) to[total] = (to[total] ?? 0) + (from[total - rank] ?? 0)
    }
  }
  const mean = (size * highest) / doubled.length
  const distance = Math.abs(sum - mean) - 1e-9
  let all = 0
  let extreme = 0
  for (const [total, count] of (ways[size] ?? new Float64Array(0)).entries()) {
    all += count
    if (Math.abs(total - mean) >= distance) extreme += count
  }
  return Math.min(1, extreme / all)
}

function approximate(a: number, b: number, rankSum: number, ties: readonly number[]): number {
  const all = a + b
  const mean = (a * (all + 1)) / 2
  const tied = ties.reduce((sum, tie) => sum + tie ** 3 - tie, 0) / (all * (all - 1))
  const deviation = Math.sqrt(((a * b) / 12) * (all + 1 - tied))
  if (deviation === 0) return 1
  // Half a rank of correction, as sums come in steps.
  return 2 * normalTail(Math.max(0, Math.abs(rankSum - mean) - 0.5) / deviation)
}

/** The upper tail of the normal distribution; Abramowitz and Stegun 26.2.17, within 7.5e-8. */
function normalTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * z)
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series
}
