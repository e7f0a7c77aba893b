/**
 * The swarm as a picture: the relay in the middle, members around it, each with a ring of what it has; lines grow with what
 * flows over them. Below it the same in figures, member by member.
 */

import { counted } from "../../base/counted.ts"
import type { MemberPicture, SwarmPicture } from "../../capabilities/share/protocol/control.ts"
import { amount, percent, rate } from "../../capabilities/share/terminal/amounts.ts"
import { el, svg, tell } from "./elements.ts"
import { PartsBar } from "./parts-bar.ts"

/** Around the relay; the table has all. */
const drawn = 24
const listed = 100
const middle = { x: 200, y: 130 }
const reach = { x: 150, y: 92 }
const radius = 15
const circumference = 2 * Math.PI * radius

interface Row {
  readonly element: HTMLTableRowElement
  readonly cells: readonly HTMLTableCellElement[]
  readonly bar: PartsBar
}

export class SwarmView {
  readonly element: HTMLElement
  readonly #map: SVGElement = svg("svg", { class: "map", viewBox: "0 0 400 262", role: "img" })
  readonly #body: HTMLTableSectionElement = el("tbody")
  readonly #legend: HTMLElement = el("p", { class: "legend" })
  readonly #rows: Row[] = []

  constructor() {
    const heads = ["Who", "Has", "Parts", "In", "Out", "From"]
    const classes = ["", "number", "parts-cell", "number", "number optional", "optional"]
    this.element = el(
      "section",
      { class: "card", id: "swarm" },
      el("h2", {}, "The swarm"),
      this.#map,
      el(
        "div",
        { class: "wide" },
        el(
          "table",
          {},
          el("thead", {}, el("tr", {}, ...heads.map((head, at) => el("th", { class: classes[at] as string }, head)))),
          this.#body,
        ),
      ),
      this.#legend,
    )
    this.element.hidden = true
  }

  draw(picture: SwarmPicture): void {
    this.element.hidden = false
    this.#drawMap(picture)
    this.#drawRows(picture)
    const { cache, relay, copies, chunks } = picture
    const fewest = Math.max(
      0,
      copies.findIndex((count) => count > 0),
    )
    tell(
      this.#legend,
      [
        fewest === 0
          ? `${copies[0]} of ${chunks} parts are with nobody`
          : `every part exists ${timesOf(fewest)} or more`,
        `relay took ${amount(relay.inBytes)}, gave ${amount(relay.outBytes)}`,
        `its cache holds ${amount(cache.bytes)}`,
      ].join(" · "),
    )
  }

  #drawMap({ members, more, chunks }: SwarmPicture): void {
    const shown = members.slice(0, drawn)
    const left = members.length - shown.length + more
    const ways: SVGElement[] = []
    const nodes: SVGElement[] = []
    for (const [at, member] of shown.entries()) {
      const angle = -Math.PI / 2 + (2 * Math.PI * at) / shown.length
      const x = middle.x + reach.x * Math.cos(angle)
      const y = middle.y + reach.y * Math.sin(angle)
      const line = { x1: middle.x, y1: middle.y, x2: x, y2: y }
      ways.push(svg("line", { class: "way", ...line }))
      const flow = member.inBytesPerSecond + member.outBytesPerSecond
      if (flow > 0) ways.push(svg("line", { class: flowClass(member), "stroke-width": width(flow), ...line }))
      nodes.push(this.#node(member, x, y, chunks))
    }
    this.#map.setAttribute("aria-label", `The relay and ${counted(members.length + more, "member")}`)
    this.#map.replaceChildren(
      ...ways,
      svg("circle", { class: "relay", cx: middle.x, cy: middle.y, r: 24 }),
      svg("text", { x: middle.x, y: middle.y + 4 }, "relay"),
      ...nodes,
      ...(left > 0 ? [svg("text", { x: 360, y: 254 }, `and ${left} more`)] : []),
    )
  }

  #node({ label, role, state, have }: MemberPicture, x: number, y: number, chunks: number): SVGElement {
    const share = chunks === 0 ? 0 : have / chunks
    const ring = svg("circle", {
      class: `has ${role === "sender" ? "sender" : state}`,
      cx: x,
      cy: y,
      r: radius,
      "stroke-dasharray": `${(share * circumference).toFixed(1)} ${circumference.toFixed(1)}`,
      transform: `rotate(-90 ${x.toFixed(1)} ${y.toFixed(1)})`,
    })
    const name = label.length > 14 ? `${label.slice(0, 13)}…` : label
    return svg(
      "g",
      { class: state === "away" ? "away" : "" },
      svg("circle", { class: "node", cx: x, cy: y, r: radius }),
      ring,
      svg("text", { x, y: y + 4 }, state === "done" ? "✓" : String(percent(have, chunks))),
      svg("text", { x, y: y < middle.y ? y - 22 : y + 30 }, name),
    )
  }

  #drawRows({ members, more, chunks }: SwarmPicture): void {
    const shown = members.slice(0, listed)
    while (this.#rows.length > shown.length) this.#rows.pop()?.element.remove()
    while (this.#rows.length < shown.length) this.#addRow()
    for (const [at, member] of shown.entries()) this.#drawRow(this.#rows[at] as Row, member, chunks)
    this.#map.toggleAttribute("data-more", more > 0)
  }

  #drawRow({ cells, bar }: Row, member: MemberPicture, chunks: number): void {
    const { label, role, state, have, inBytesPerSecond, outBytesPerSecond, via, note } = member
    const isSender = role === "sender"
    const name = isSender && label !== "sender" ? `${label} (sender)` : label
    const who = state === "working" || (isSender && state === "done") ? name : `${name}, ${state}`
    const texts = [
      note === undefined || note === "" ? who : `${who}: ${note}`,
      `${percent(have, chunks)} %`,
      undefined,
      inBytesPerSecond < 1 ? "–" : rate(inBytesPerSecond),
      outBytesPerSecond < 1 ? "–" : rate(outBytesPerSecond),
      waysOf(via),
    ]
    for (const [at, text] of texts.entries()) if (text !== undefined) tell(cells[at] as Element, text)
    bar.draw(member.line)
  }

  #addRow(): void {
    const bar = new PartsBar("the parts that it has")
    const classes = ["", "number", "parts-cell", "number", "number optional", "optional"]
    const cells = classes.map((name) => el("td", { class: name }))
    cells[2]?.append(bar.element)
    const element = el("tr", {}, ...cells)
    this.#body.append(element)
    this.#rows.push({ element, cells, bar })
  }
}

function timesOf(times: number): string {
  return times === 1 ? "once" : times === 2 ? "twice" : `${times} times`
}

function waysOf({ relay, direct, cast }: MemberPicture["via"]): string {
  const sum = relay + direct + cast
  const ways = [
    ["relay", relay],
    ["direct", direct],
    ["multicast", cast],
  ] as const
  const used = ways.filter(([, bytes]) => bytes > 0)
  return used.map(([name, bytes]) => `${name} ${Math.round((bytes / sum) * 100)} %`).join(", ")
}

function flowClass({ via }: MemberPicture): string {
  return via.direct + via.cast > via.relay ? "flow direct" : "flow"
}

/** Doubles with every tenfold rate. */
function width(bytesPerSecond: number): string {
  return (1 + Math.max(0, Math.log10(bytesPerSecond / 10_000)) * 1.4).toFixed(1)
}
