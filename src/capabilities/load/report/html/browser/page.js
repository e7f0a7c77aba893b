// Which graphs the page has and what they draw: from the data in the page, for one run or several over each other.

;(() => {
  const { runs } = JSON.parse(document.getElementById("data").textContent)
  const several = runs.length > 1
  const quantileNames = { p50: "p50", p90: "p90", p99: "p99", p999: "p99.9", max: "max" }

  const named = (run, text) => (several ? `${run.name} ${text}` : text)
  const style = (run, one) => (several ? `run-${(runs.indexOf(run) % 6) + 1} ${one}` : one)
  const column = (run, name) => run.at.map((at, index) => [at, run.columns[name][index]])
  const some = (name) => runs.some((run) => run.columns[name].some((value) => value > 0))
  const byTime = { kind: "time", label: "time since the start, min:s", prefix: "at " }

  function wide(name) {
    const values = runs.flatMap((run) => run.columns[name].filter((value) => value !== null))
    if (values.length < 12) return false
    const [least, most] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))]
    return most > least * 1.25 && most - least >= 2
  }

  // Log where a linear scale would press the median into the floor.
  function logHelps(names) {
    const top = Math.max(...runs.flatMap((run) => run.columns[names.at(-1)].filter((value) => value !== null)), 0)
    const medians = runs.flatMap((run) => run.columns.p50.filter((value) => value > 0)).sort((a, b) => a - b)
    return medians.length > 0 && top > medians[medians.length >> 1] * 25
  }

  const over = {
    latency: () => {
      const names = several ? ["p50", "p99"] : ["p50", "p90", "p99", "p999", "max"]
      return {
        title: "Latency over time",
        unit: "ms",
        x: byTime,
        group: "time",
        log: logHelps(names),
        scales: true,
        ends: !several,
        series: runs.flatMap((run) =>
          names.map((name) => ({
            label: named(run, quantileNames[name]),
            style: style(run, name),
            points: column(run, name),
          })),
        ),
      }
    },
    throughput: () => ({
      title: "Throughput over time",
      unit: "per s",
      x: byTime,
      group: "time",
      series: runs.flatMap((run) => [
        ...(run.open
          ? [{ label: named(run, "planned"), style: style(run, "planned"), points: column(run, "planned") }]
          : []),
        { label: named(run, "reached"), style: style(run, "rate"), points: column(run, "rate"), area: !several },
      ]),
    }),
    trouble: () =>
      some("errors") || some("dropped")
        ? {
            title: "Errors and dropped messages over time",
            unit: "per s",
            x: byTime,
            group: "time",
            series: runs.flatMap((run) => [
              {
                label: named(run, "errors"),
                style: style(run, "errors"),
                points: column(run, "errors"),
                area: !several,
              },
              ...(run.open
                ? [{ label: named(run, "dropped"), style: style(run, "dropped"), points: column(run, "dropped") }]
                : []),
            ]),
          }
        : undefined,
    busy: () => ({
      title: "Connections over time",
      unit: "now",
      x: byTime,
      group: "time",
      series: runs.flatMap((run) =>
        [
          ["connections", "open connections"],
          ["inFlight", "messages under way"],
        ].map(([name, label]) => ({ label: named(run, label), style: style(run, name), points: column(run, name) })),
      ),
    }),
    queue: () =>
      some("queued")
        ? {
            title: "Queue over time",
            unit: "now",
            x: byTime,
            group: "time",
            series: runs
              .filter((run) => run.open)
              .map((run) => ({
                label: named(run, "waiting for a connection"),
                style: style(run, "queued"),
                points: column(run, "queued"),
                area: !several,
              })),
          }
        : undefined,
    percentiles: () => {
      const kinds = several
        ? [["total", "total"]]
        : [
            ["total", runs[0].open ? "total" : "latency"],
            ["service", "service"],
            ["wait", "wait before send"],
            ["corrected", "as independent callers would see it"],
          ]
      return {
        title: "Latency by percentile",
        unit: "ms",
        x: { kind: "nines", label: "percentile, each step ten times rarer", prefix: "p" },
        log: logHelps(["max"]),
        scales: true,
        rows: [0, 0.301, 0.602, 1, 1.301, 2, 3, 4, 5, 6].filter((at) =>
          runs.some((run) => at <= (run.curves.total?.at(-1)[0] ?? 0)),
        ),
        series: runs.flatMap((run) =>
          kinds
            .filter(([kind]) => run.curves[kind] !== undefined)
            .map(([kind, label]) => ({
              label: several ? run.name : label,
              style: style(run, `curve-${kind}`),
              points: run.curves[kind],
            })),
        ),
      }
    },
    scatterRate: () => scatter("throughput", "per s", ["rate"]),
    scatterLatency: () => scatter("latency", "ms", several ? ["p50", "p99"] : ["p50", "p90", "p99"]),
  }

  // Against what was varied: connections in the closed model, the planned rate in the open one.
  function scatter(what, unit, names) {
    const open = runs.every((run) => run.open)
    const against = open ? "planned" : "connections"
    if (!wide(against)) return undefined
    const label = open ? "planned rate, per s" : "connections"
    return {
      title: `${what === "latency" ? "Latency" : "Throughput"} against ${open ? "the planned rate" : "connections"}`,
      unit,
      dots: true,
      x: { kind: "value", label, prefix: `${open ? "planned per s" : "connections"}: ` },
      log: what === "latency" && logHelps(["p99"]),
      scales: what === "latency",
      series: runs.flatMap((run) =>
        names.map((name) => ({
          label: named(run, quantileNames[name] ?? "reached"),
          style: style(run, name),
          points: run.columns[against]
            .map((x, index) => [x, run.columns[name][index]])
            .filter(([x]) => x !== null)
            .sort((a, b) => a[0] - b[0]),
        })),
      ),
    }
  }

  const places = [...document.querySelectorAll("figure[data-chart]")]
  const specs = new Map(places.map((place) => [place, over[place.dataset.chart]()]))
  for (const place of places) if (specs.get(place) === undefined) place.remove()
  // One that would stand alone in its row takes the whole of it.
  for (const grid of document.querySelectorAll(".grid")) {
    const halves = [...grid.querySelectorAll(":scope > figure:not(.whole)")]
    if (halves.length % 2 === 1) halves.at(-1).classList.add("whole")
  }
  for (const [place, spec] of specs) {
    if (spec === undefined) continue
    place.querySelector("h3").textContent = spec.title
    globalThis.rdvCharts.draw(place, spec)
  }
})()
