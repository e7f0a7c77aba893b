// One graph: lines or dots over a time, a percentile or a value. Draws SVG by hand, at the size that the place has, so
// that text keeps its size; a crosshair tells the values, by pointer or by arrow keys, in all graphs of a group at once.

globalThis.rdvCharts = (() => {
  const svgName = "http://www.w3.org/2000/svg"
  const height = 264
  const groups = new Map()

  function element(name, attributes, ...children) {
    const made = name.startsWith("svg:")
      ? document.createElementNS(svgName, name.slice(4))
      : document.createElement(name)
    for (const [key, value] of Object.entries(attributes ?? {})) {
      if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : String(value))
    }
    made.append(...children)
    return made
  }

  function grouped(value) {
    const [whole, decimals] = String(value).split(".")
    const text = whole.replaceAll(/\B(?=(?:\d{3})+$)/g, ",")
    return decimals === undefined ? text : `${text}.${decimals}`
  }

  function figure(value) {
    if (value === null || value === undefined) return "–"
    if (value === 0) return "0"
    return Math.abs(value) >= 1000 ? grouped(Math.round(value)) : String(Number(value.toPrecision(3)))
  }

  function time(seconds) {
    const whole = Math.floor(seconds)
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
    const two = (value) => String(value).padStart(2, "0")
    return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
  }

  function percent(nines) {
    if (nines <= 0) return "0%"
    const value = 100 - 100 * 10 ** -nines
    return `${Number(value.toFixed(Math.max(0, Math.ceil(nines) - 1)))}%`
  }

  const texts = { time, nines: percent, value: figure }

  // Steps of 1, 2 or 5; for times, steps that clocks have.
  function linearTicks(from, to, most, isTime) {
    const span = to - from || 1
    const clock = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400]
    let step = isTime ? clock.find((size) => span / size <= most) : undefined
    if (step === undefined) {
      const power = 10 ** Math.floor(Math.log10(span / most))
      step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => span / size <= most) ?? 10 * power
    }
    const ticks = []
    for (let at = Math.ceil(from / step - 1e-9); at * step <= to + step * 1e-9; at++) {
      ticks.push(Number((at * step).toPrecision(12)))
    }
    return ticks
  }

  function logTicks(from, to) {
    const decades = Math.log10(to / from)
    const factors = decades <= 1.5 ? [1, 2, 3, 5, 7] : decades <= 3 ? [1, 2, 5] : [1]
    const ticks = []
    for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power++) {
      for (const factor of factors) {
        const tick = Number((factor * 10 ** power).toPrecision(3))
        if (tick >= from * 0.999 && tick <= to * 1.001) ticks.push(tick)
      }
    }
    return ticks
  }

  function niceTop(value) {
    if (!(value > 0)) return 1
    const power = 10 ** Math.floor(Math.log10(value))
    return ([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= value * 1.02) ?? 12) * power
  }

  class Chart {
    constructor(place, spec) {
      this.spec = spec
      this.log = spec.log === true
      this.hidden = new Set(spec.series.filter((series) => series.quiet).map((series) => series.label))
      this.plot = place.querySelector(".plot")
      this.tip = element("div", { class: "tip", "aria-hidden": "true", hidden: true })
      this.spoken = element("p", { class: "spoken", "aria-live": "polite" })
      this.addControls(place)
      this.addTable(place.querySelector("details"))
      this.width = 0
      if (spec.group !== undefined) groups.set(spec.group, [...(groups.get(spec.group) ?? []), this])
      new ResizeObserver(() => this.draw()).observe(this.plot)
      this.draw()
    }

    get shown() {
      return this.spec.series.filter((series) => !this.hidden.has(series.label))
    }

    addControls(place) {
      const legend = element("div", { class: "legend", role: "group", "aria-label": "Lines shown" })
      for (const series of this.spec.series) {
        const key = element("svg:svg", { class: `key ${series.style}`, width: 22, height: 10, "aria-hidden": "true" })
        if (this.spec.dots) key.append(element("svg:circle", { cx: 11, cy: 5, r: 4, class: "dot" }))
        else key.append(element("svg:line", { x1: 0, x2: 22, y1: 5, y2: 5, class: "line" }))
        const button = element("button", { type: "button" }, key, series.label)
        button.setAttribute("aria-pressed", String(!this.hidden.has(series.label)))
        button.addEventListener("click", () => {
          if (!this.hidden.delete(series.label)) this.hidden.add(series.label)
          button.setAttribute("aria-pressed", String(!this.hidden.has(series.label)))
          this.draw(true)
        })
        legend.append(button)
      }
      if (this.spec.scales) {
        const button = element("button", { type: "button", class: "scale" })
        const name = () => (button.textContent = this.log ? "Scale: log" : "Scale: linear")
        button.addEventListener("click", () => {
          this.log = !this.log
          name()
          this.draw(true)
        })
        name()
        legend.append(button)
      }
      place.insertBefore(legend, this.plot)
      place.append(this.spoken)
    }

    // Built when somebody looks: a table of each graph in the file would double its size.
    addTable(details) {
      const build = () => {
        details.removeEventListener("toggle", build)
        const { series, x } = this.spec
        const places =
          this.spec.rows ?? [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b)
        const every = Math.max(1, Math.ceil(places.length / 240))
        const cell = (text, name = "td") => element(name, name === "th" ? { scope: "col" } : {}, text)
        const head = element(
          "tr",
          {},
          cell(x.label, "th"),
          ...series.map(({ label }) => cell(`${label}, ${this.spec.unit}`, "th")),
        )
        const body = element("tbody")
        places.forEach((at, index) => {
          if (index % every !== 0) return
          body.append(
            element(
              "tr",
              {},
              cell(texts[x.kind](at)),
              ...series.map(({ points }) => cell(figure(valueAt(points, at, this.log)))),
            ),
          )
        })
        const table = element("table", {}, element("thead", {}, head), body)
        details.append(
          element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Figures" }, table),
        )
        if (every > 1) details.append(element("p", { class: "note" }, `Every ${every}th of ${places.length} rows.`))
      }
      details.addEventListener("toggle", build)
    }

    draw(force = false) {
      const width = Math.floor(this.plot.clientWidth)
      if (width < 80 || (width === this.width && !force)) return
      this.width = width
      const { spec } = this
      const drawn = this.shown
      const points = drawn.flatMap((series) => series.points.filter(([, y]) => y !== null))
      this.measure(points, width)
      const svg = element("svg:svg", {
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        tabindex: "0",
        "aria-label": `${spec.title}. ${drawn.map((series) => this.summary(series)).join(" ")} Arrow keys read the values.`,
      })
      this.drawAxes(svg)
      const clip = element("svg:g", {})
      for (const series of drawn) this.drawSeries(clip, series)
      svg.append(clip)
      if (spec.ends) this.drawEnds(svg, drawn)
      this.cross = element("svg:g", { class: "cross" })
      svg.append(this.cross)
      if (points.length === 0) {
        svg.append(
          element(
            "svg:text",
            { x: width / 2, y: height / 2, class: "empty", "text-anchor": "middle" },
            "Nothing to show",
          ),
        )
      }
      this.listen(svg)
      this.plot.replaceChildren(svg, this.tip)
    }

    summary({ label, points }) {
      const values = points.map(([, y]) => y).filter((y) => y !== null)
      if (values.length === 0) return `${label}: no values.`
      const least = values.reduce((a, b) => Math.min(a, b))
      const most = values.reduce((a, b) => Math.max(a, b))
      return `${label}: ${figure(least)} to ${figure(most)} ${this.spec.unit}.`
    }

    measure(points, width) {
      const { spec } = this
      const all = (of) => points.map(of)
      const least = (values, otherwise) => (values.length === 0 ? otherwise : values.reduce((a, b) => Math.min(a, b)))
      const most = (values, otherwise) => (values.length === 0 ? otherwise : values.reduce((a, b) => Math.max(a, b)))
      const ys = all(([, y]) => y)
      const positive = ys.filter((y) => y > 0)
      // 1 µs at least, six decades at most: below it a log scale shows nothing but its own depth.
      const high = most(ys, 1)
      const low = Math.max(least(positive, high / 10), high / 1e6, 1e-3)
      this.y = this.log
        ? { from: logFloor(low), to: Math.max(logCeil(high), logFloor(low) * 10) }
        : { from: 0, to: niceTop(high) }
      const xs = all(([x]) => x)
      const fromZero = spec.x.kind !== "value"
      const [xFrom, xTo] = [fromZero ? 0 : least(xs, 0), most(xs, 1)]
      const pad = fromZero ? 0 : (xTo - xFrom) * 0.03
      this.x = { from: xFrom - pad, to: Math.max(xTo + pad, xFrom + 1e-6) }
      this.yTicks = this.log ? logTicks(this.y.from, this.y.to) : linearTicks(0, this.y.to, 6, false)
      const widest = Math.max(...this.yTicks.map((tick) => figure(tick).length))
      this.left = Math.max(40, 14 + widest * 6.6)
      this.right = spec.ends ? 46 : spec.x.kind === "nines" ? 28 : 14
      this.top = 20
      this.bottom = 40
      this.w = width - this.left - this.right
      this.h = height - this.top - this.bottom
    }

    px(x) {
      return this.left + ((x - this.x.from) / (this.x.to - this.x.from)) * this.w
    }

    py(y) {
      const { from, to } = this.y
      const share = this.log ? Math.log(Math.max(y, from) / from) / Math.log(to / from) : (y - from) / (to - from)
      return this.top + (1 - Math.min(1, Math.max(0, share))) * this.h
    }

    xTicks() {
      const { kind } = this.spec.x
      const most = Math.max(2, Math.floor(this.w / (kind === "time" ? 64 : 70)))
      if (kind !== "nines") return linearTicks(this.x.from, this.x.to, most, kind === "time")
      const ticks = [0, -Math.log10(0.5)]
      for (let nines = 1; nines <= this.x.to + 1e-9; nines++) ticks.push(nines)
      return ticks.filter((tick) => tick <= this.x.to)
    }

    drawAxes(svg) {
      const { spec } = this
      const bottom = this.top + this.h
      for (const tick of this.yTicks) {
        const y = Math.round(this.py(tick)) + 0.5
        svg.append(
          element("svg:line", { x1: this.left, x2: this.left + this.w, y1: y, y2: y, class: "grid" }),
          element("svg:text", { x: this.left - 7, y: y + 3.5, "text-anchor": "end" }, figure(tick)),
        )
      }
      let free = -Infinity
      for (const tick of this.xTicks()) {
        const x = Math.round(this.px(tick)) + 0.5
        const text = texts[spec.x.kind](tick)
        svg.append(element("svg:line", { x1: x, x2: x, y1: bottom, y2: bottom + 4, class: "axis" }))
        if (spec.x.kind === "nines")
          svg.append(element("svg:line", { x1: x, x2: x, y1: this.top, y2: bottom, class: "grid" }))
        if (x - text.length * 3.4 < free) continue
        free = x + text.length * 3.4 + 6
        svg.append(element("svg:text", { x, y: bottom + 17, "text-anchor": "middle" }, text))
      }
      svg.append(
        element("svg:line", {
          x1: this.left,
          x2: this.left + this.w,
          y1: bottom + 0.5,
          y2: bottom + 0.5,
          class: "axis",
        }),
        element("svg:text", { x: this.left - 7, y: 10, "text-anchor": "end", class: "unit" }, spec.unit),
        element(
          "svg:text",
          { x: this.left + this.w / 2, y: height - 5, "text-anchor": "middle", class: "unit" },
          spec.x.label,
        ),
      )
    }

    drawSeries(svg, series) {
      if (this.spec.dots) {
        const dots = element("svg:g", { class: series.style })
        // One path of points with round ends: thousands of circles would weigh down the page and its print.
        const known = series.points.filter(([, y]) => y !== null)
        const d = known.map(([x, y]) => `M${this.px(x).toFixed(1)},${this.py(y).toFixed(1)}h0`).join("")
        dots.append(element("svg:path", { d, class: "dots" }))
        const trend = medians(known, 14)
        if (trend.length > 2) dots.append(element("svg:path", { d: this.path(trend), class: "line trend" }))
        svg.append(dots)
        return
      }
      const d = this.path(series.points)
      if (series.area && d !== "") {
        const known = series.points.filter(([, y]) => y !== null)
        const [from, to] = [this.px(known[0][0]), this.px(known.at(-1)[0])]
        const closed = `${this.path(known)}L${to.toFixed(1)},${this.top + this.h}L${from.toFixed(1)},${this.top + this.h}Z`
        svg.append(element("svg:path", { d: closed, class: `area ${series.style}` }))
      }
      const dense = series.points.length > this.w ? "dense" : ""
      svg.append(element("svg:path", { d, class: `line ${dense} ${series.style}` }))
    }

    // A missing value is a gap; a value alone between two gaps is a dot.
    path(points) {
      let d = ""
      let open = false
      for (const [x, y] of points) {
        if (y === null) {
          open = false
          continue
        }
        d += `${open ? "L" : "M"}${this.px(x).toFixed(1)},${this.py(y).toFixed(1)}${open ? "" : "h0"}`
        open = true
      }
      return d
    }

    drawEnds(svg, drawn) {
      const ends = drawn
        .map((series) => ({ series, last: series.points.findLast(([, y]) => y !== null) }))
        .filter(({ last }) => last !== undefined)
        .map(({ series, last }) => ({ series, y: this.py(last[1]) }))
        .sort((a, b) => a.y - b.y)
      ends.forEach((end, at) => (end.y = Math.max(end.y, at === 0 ? this.top : ends[at - 1].y + 12)))
      for (let at = ends.length - 1; at >= 0; at--) {
        ends[at].y = Math.min(ends[at].y, at === ends.length - 1 ? this.top + this.h : ends[at + 1].y - 12)
      }
      for (const { series, y } of ends) {
        const attributes = { x: this.left + this.w + 6, y: y + 3.5, class: `end ${series.style}` }
        svg.append(element("svg:text", attributes, series.end ?? series.label))
      }
    }

    listen(svg) {
      const at = (event) => {
        const box = svg.getBoundingClientRect()
        return ((event.clientX - box.left) / box.width) * this.width
      }
      svg.addEventListener("pointermove", (event) => this.point(this.nearest(at(event))))
      svg.addEventListener("pointerleave", () => this.point(undefined))
      svg.addEventListener("blur", () => this.point(undefined))
      svg.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key]
        if (event.key === "Escape") this.point(undefined)
        if (step === undefined) return
        event.preventDefault()
        const places = this.places()
        const here = this.pointed === undefined ? -1 : places.indexOf(this.pointed)
        const next =
          here < 0 ? (step > 0 ? 0 : places.length - 1) : Math.min(places.length - 1, Math.max(0, here + step))
        this.point(places[next], true)
      })
    }

    places() {
      return [...new Set(this.shown.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b)
    }

    nearest(px) {
      let best
      for (const { points } of this.shown) {
        for (const [x] of points) {
          if (best === undefined || Math.abs(this.px(x) - px) < Math.abs(this.px(best) - px)) best = x
        }
      }
      return best
    }

    point(x, speak = false) {
      for (const chart of groups.get(this.spec.group) ?? [this]) chart.showAt(x, chart === this)
      this.spoken.textContent =
        speak && x !== undefined
          ? `${texts[this.spec.x.kind](x)}: ${this.readAt(x)
              .map(({ text }) => text)
              .join(", ")}`
          : ""
    }

    readAt(x) {
      return this.shown.map((series) => {
        const y = valueAt(series.points, x, this.log)
        return { series, y, text: `${series.label} ${figure(y)} ${this.spec.unit}` }
      })
    }

    showAt(x, own) {
      this.pointed = x
      this.cross?.replaceChildren()
      this.tip.hidden = x === undefined || !own
      if (x === undefined || this.cross === undefined || this.shown.length === 0) return
      const px = Math.round(this.px(x)) + 0.5
      if (px < this.left - 1 || px > this.left + this.w + 1) return
      this.cross.append(element("svg:line", { x1: px, x2: px, y1: this.top, y2: this.top + this.h }))
      const rows = this.readAt(x)
      for (const { series, y } of rows) {
        if (y === null || this.spec.dots) continue
        this.cross.append(element("svg:circle", { cx: px, cy: this.py(y), r: 3.5, class: `dot ${series.style}` }))
      }
      if (!own) return
      const head = element("b", {}, `${this.spec.x.prefix ?? ""}${texts[this.spec.x.kind](x)}`)
      const list = rows.map(({ series, y }) =>
        element(
          "div",
          { class: series.style },
          element("i"),
          element("span", {}, series.label),
          element("em", {}, `${figure(y)} ${this.spec.unit}`),
        ),
      )
      this.tip.replaceChildren(head, ...list)
      const left = px > this.left + this.w / 2
      this.tip.style.left = left ? "auto" : `${px + 12}px`
      this.tip.style.right = left ? `${this.width - px + 12}px` : "auto"
    }
  }

  // What the drawn line says at x; dots are not joined, so the nearest of them counts.
  function valueAt(points, x, log) {
    let [low, high] = [0, points.length - 1]
    if (high < 0 || x < points[0][0] - 1e-9 || x > points[high][0] + 1e-9) return null
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (points[middle][0] <= x) low = middle
      else high = middle
    }
    const [[fromX, fromY], [toX, toY]] = [points[low], points[high]]
    if (x <= fromX || toX === fromX) return fromY
    if (x >= toX) return toY
    if (fromY === null || toY === null) return null
    const share = (x - fromX) / (toX - fromX)
    return log && fromY > 0 && toY > 0 ? fromY * (toY / fromY) ** share : fromY + (toY - fromY) * share
  }

  function logFloor(value) {
    const power = 10 ** Math.floor(Math.log10(value))
    return [5, 2, 1].find((factor) => factor * power <= value) * power
  }

  function logCeil(value) {
    const power = 10 ** Math.floor(Math.log10(value))
    return [1, 2, 5, 10].find((factor) => factor * power >= value) * power
  }

  // The middle of the dots, which ascend, in each of so many stretches of x.
  function medians(points, bins) {
    if (points.length < bins) return []
    const [from, to] = [points[0][0], points.at(-1)[0]]
    const found = []
    for (let bin = 0; bin < bins; bin++) {
      const low = from + ((to - from) * bin) / bins
      const high = from + ((to - from) * (bin + 1)) / bins
      const inside = points.filter(([x]) => x >= low && (x < high || bin === bins - 1))
      if (inside.length === 0) continue
      const ys = inside.map(([, y]) => y).sort((a, b) => a - b)
      found.push([(low + high) / 2, ys[ys.length >> 1]])
    }
    return found
  }

  return { draw: (place, spec) => new Chart(place, spec) }
})()
