// What the pages of the examples share: asking models, streams, microphone, files, charts, messages.
// An ES module without dependencies: import { ask, status } from "./page.js"

const ROOT = new URL("../../", document.baseURI) // the page is at ROOT/ui/NAME/
const SILENT = "The server does not answer."

/** The model whose page this is. */
export const model = decodeURIComponent(document.location.pathname.split("/").at(-2) ?? "")

/** What a server said instead of an answer: `message`, `help`, `status`, `kind`. */
export class Refused extends Error {
  constructor(status, { message, help, kind } = {}) {
    super(message ?? `the server answered ${status}`)
    Object.assign(this, { name: "Refused", status, help: help ?? "", kind: kind ?? "" })
  }
}

/** Asks a model once and returns its result. `inputs`: one example, or a Blob that is one (a picture, say). */
export async function ask(name, inputs, { signal, parameters, outputs, timeout } = {}) {
  const response = await post(name, inputs, { signal, parameters, outputs, timeout })
  return (await response.json()).result
}

/** Asks a model for an answer in pieces; `onPiece` is given what is new of the result each time. */
export async function stream(name, inputs, onPiece, { signal, parameters, outputs, timeout } = {}) {
  const accept = "text/event-stream"
  const response = await post(name, inputs, { signal, parameters, outputs, timeout, accept })
  for await (const data of events(response.body)) {
    const piece = JSON.parse(data)
    if (piece.error) throw new Refused(response.status, piece.error)
    await onPiece(piece.result)
  }
}

async function post(name, inputs, { signal, parameters, outputs, timeout, accept }) {
  const url = new URL(`models/${encodeURIComponent(name)}/predict`, ROOT)
  const headers = { Accept: accept ?? "application/json" }
  let body = inputs
  if (timeout) headers["X-Request-Timeout"] = String(timeout)
  if (inputs instanceof Blob) {
    headers["Content-Type"] = inputs.type || "application/octet-stream"
  } else {
    headers["Content-Type"] = "application/json"
    body = JSON.stringify({ data: inputs, parameters, outputs })
  }
  let response
  try {
    response = await fetch(url, { method: "POST", headers, body, signal })
  } catch (error) {
    if (error.name === "AbortError") throw error
    throw new Refused(0, { message: SILENT, help: "Is it running? Try again in a moment." })
  }
  if (response.ok) return response
  const told = await response.json().catch(() => ({}))
  throw new Refused(response.status, told.error)
}

/** Yields the data of server-sent events as they arrive. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ""
  try {
    for (;;) {
      const { value, done } = await reader.read()
      text += (value ?? "").replaceAll("\r", "")
      const whole = text.split("\n\n")
      text = whole.pop()
      for (const event of whole) {
        const lines = event.split("\n").filter((line) => line.startsWith("data:"))
        if (lines.length) yield lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n")
      }
      if (done) return
    }
  } finally {
    reader.cancel().catch(() => {}) // gives up what was not read, so that the server stops too
  }
}

/** Returns the bytes of a Blob as base64, for inputs that are bytes: `{ b64: await base64(file) }`. */
export function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1))
    reader.onerror = () => reject(reader.error)
    reader.readAsDataURL(blob)
  })
}

// ------------------------------------------------------------------------------------ elements

/** Makes an element: `make("li", { class: "new", onclick }, "text", other)`. Text is never read as HTML. */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made[key] = value
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value)
  }
  made.append(...children)
  return made
}

/** Says in a live region what goes on. `kind`: "busy", "error", or nothing. */
export function status(element, text, kind = "") {
  element.setAttribute("role", "status")
  element.setAttribute("aria-live", "polite")
  element.dataset.kind = kind
  element.replaceChildren(text)
}

/** Says in a live region what went wrong, and what to do; nothing where the user gave up. */
export function problem(element, error) {
  if (error.name === "AbortError") return status(element, "Stopped.")
  status(element, error.message, "error")
  if (error.help) element.append(make("span", { class: "help" }, error.help))
}

/**
 * Lets an element that holds an <input type=file> take files: chosen, dropped or pasted. `onFile(file)`
 * is called for the first that fits the input's `accept`, `onOther(file)` for one that does not.
 */
export function dropzone(element, onFile, onOther = () => {}) {
  const input = element.querySelector("input[type=file]")
  const take = (files) => {
    const file = [...files].find((one) => fits(one, input.accept))
    if (file) onFile(file)
    else if (files.length) onOther(files[0])
  }
  input.addEventListener("change", () => {
    take(input.files)
    input.value = "" // so that the same file may be chosen again
  })
  for (const name of ["dragenter", "dragover"]) {
    element.addEventListener(name, (event) => {
      event.preventDefault()
      element.classList.add("over")
    })
  }
  for (const name of ["dragleave", "drop"]) {
    element.addEventListener(name, () => element.classList.remove("over"))
  }
  element.addEventListener("drop", (event) => {
    event.preventDefault()
    take(event.dataTransfer.files)
  })
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take(event.clipboardData.files)
  })
}

function fits(file, accept) {
  const wanted = accept.split(",").map((one) => one.trim().toLowerCase()).filter(Boolean)
  const name = file.name.toLowerCase()
  return !wanted.length || wanted.some((one) =>
    one.startsWith(".") ? name.endsWith(one)
      : one.endsWith("/*") ? file.type.startsWith(one.slice(0, -1))
      : file.type === one)
}

// ---------------------------------------------------------------------------------- microphone

export const RATE = 16000

/**
 * Records the microphone. Returns `{ stop, cancel, done }`: `stop()` ends it, and `done` is the promise of
 * a Blob, a wav file of 16 kHz, mono, 16 bits. It ends by itself after `seconds`; `onLevel` hears 0 to 1.
 */
export async function record({ seconds = 60, onLevel = () => {} } = {}) {
  if (!navigator.mediaDevices) {
    throw new Refused(0, { message: "The browser gives no microphone here.", help: "Open the page at localhost, or by HTTPS." })
  }
  let source
  try {
    source = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } })
  } catch (error) {
    const refused = error.name === "NotAllowedError"
    throw new Refused(0, {
      message: refused ? "The microphone is not allowed." : "No microphone was found.",
      help: refused ? "Allow it in the browser's settings of this page, or choose a file." : "Choose a file instead.",
    })
  }
  const context = new AudioContext()
  const parts = []
  const release = async () => {
    for (const track of source.getTracks()) track.stop()
    if (context.state !== "closed") await context.close()
  }
  let settle
  const done = new Promise((resolve, reject) => {
    settle = (how) => (how === "cancel" ? reject(new DOMException("given up", "AbortError")) : resolve(wav(parts, context.sampleRate)))
  })
  done.catch(() => {}) // who cancels need not wait for it
  let ended = false
  const end = async (how) => {
    if (ended) return
    ended = true
    await release()
    settle(how)
  }
  try {
    await context.audioWorklet.addModule(new URL("recorder.js", import.meta.url))
  } catch (error) {
    await release()
    throw error
  }
  const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 })
  const most = seconds * context.sampleRate
  let heard = 0
  node.port.onmessage = ({ data }) => {
    if (ended) return
    parts.push(data)
    heard += data.length
    onLevel(Math.min(1, Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length) * 4))
    if (heard >= most) end("stop")
  }
  context.createMediaStreamSource(source).connect(node)
  return { done, stop: async () => { await end("stop"); return done }, cancel: () => end("cancel") }
}

/** Returns sound as a wav file of 16 kHz: `parts` are Float32Arrays of one channel at `rate`. */
export async function wav(parts, rate) {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  if (!length) throw new Refused(0, { message: "Nothing was recorded." })
  const offline = new OfflineAudioContext(1, Math.max(1, Math.round((length * RATE) / rate)), RATE)
  const given = offline.createBuffer(1, length, rate)
  let at = 0
  for (const part of parts) {
    given.copyToChannel(part, 0, at)
    at += part.length
  }
  const player = offline.createBufferSource()
  player.buffer = given
  player.connect(offline.destination)
  player.start()
  const samples = (await offline.startRendering()).getChannelData(0)
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length))
  const text = (place, letters) => [...letters].forEach((c, i) => view.setUint8(place + i, c.charCodeAt(0)))
  text(0, "RIFF"), view.setUint32(4, 36 + 2 * samples.length, true), text(8, "WAVEfmt ")
  view.setUint32(16, 16, true), view.setUint16(20, 1, true), view.setUint16(22, 1, true)
  view.setUint32(24, RATE, true), view.setUint32(28, 2 * RATE, true)
  view.setUint16(32, 2, true), view.setUint16(34, 16, true)
  text(36, "data"), view.setUint32(40, 2 * samples.length, true)
  samples.forEach((x, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, x)) * 32767, true))
  return new Blob([view], { type: "audio/wav" })
}

// -------------------------------------------------------------------------------------- charts

const SVG = "http://www.w3.org/2000/svg"

function draw(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

const short = (value) => String(Math.round(value * 1000) / 1000)

/** Returns round ends of an axis, and the stride of its marks, of which there are about four. */
function scale(low, high) {
  if (!(high > low)) high = low + 1
  const rough = (high - low) / 4
  const ten = 10 ** Math.floor(Math.log10(rough))
  const stride = [1, 2, 2.5, 5, 10].find((one) => one * ten >= rough * 0.999) * ten
  return [Math.floor(low / stride + 1e-9) * stride, Math.ceil(high / stride - 1e-9) * stride, stride]
}

export const chart = {
  /**
   * Bars, one a row, longest 100 %: `{ title, rows: [{ name, value, text }], most }`. `text` is what is
   * written at the bar, `most` the value of a full bar. Rows below 0 grow to the other side.
   */
  bar(element, { title, rows, most }) {
    const largest = most ?? Math.max(1e-9, ...rows.map((row) => Math.abs(row.value)))
    const signed = rows.some((row) => row.value < 0)
    const items = rows.map((row, index) => {
      const share = Math.min(1, Math.abs(row.value) / largest) * (signed ? 50 : 100)
      const from = signed ? (row.value < 0 ? 50 - share : 50) : 0
      const svg = draw("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
        draw("rect", { class: "ground", width: 100, height: 6 }),
        draw("rect", { class: row.value < 0 ? "below" : "above", x: from, width: share, height: 6 }))
      return make("li", index === 0 ? { class: "first" } : {},
        make("span", { class: "name" }, row.name), make("span", { class: "value" }, row.text ?? short(row.value)), svg)
    })
    element.replaceChildren(make("ol", { class: "bars", "aria-label": title }, ...items))
  },

  /**
   * Lines over a common axis: `{ title, labels: [text], series: [{ name, values: [number or null] }], low, high }`.
   * The numbers are in a table too, for who cannot see the lines.
   */
  line(element, { title, labels, series, low, high }) {
    const known = series.flatMap((one) => one.values).filter((value) => value !== null && value !== undefined)
    const [least, most, stride] = scale(low ?? Math.min(0, ...known), high ?? Math.max(0, ...known))
    const width = Math.max(280, Math.min(1000, element.clientWidth || 640)) // so that its text is as large as other text
    const [height, left, right, top, bottom] = [240, 48, 16, 12, 30]
    const x = (i) => left + (labels.length < 2 ? 0.5 : i / (labels.length - 1)) * (width - left - right)
    const y = (value) => top + (1 - (value - least) / (most - least)) * (height - top - bottom)
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title, class: "lines" })
    for (let value = least; value <= most + stride / 2; value += stride) {
      svg.append(draw("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
        draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)))
    }
    const room = (width - left - right) / (8 * Math.max(4, ...labels.map((label) => label.length)) + 16)
    const every = Math.max(1, Math.ceil((labels.length - 1) / Math.max(1, Math.floor(room))))
    labels.forEach((label, i) => {
      if (i % every) return
      const half = 4 * label.length
      const anchor = x(i) + half > width ? "end" : x(i) < half ? "start" : "middle"
      svg.append(draw("text", { x: x(i), y: height - 8, "text-anchor": anchor }, label))
    })
    series.forEach((one, number) => {
      let path = ""
      let pen = "M"
      one.values.forEach((value, i) => {
        if (value === null || value === undefined) return void (pen = "M")
        path += `${pen}${x(i).toFixed(1)} ${y(value).toFixed(1)}`
        pen = "L"
        svg.append(draw("circle", { class: `series-${number % 6}`, cx: x(i), cy: y(value), r: 3 },
          draw("title", {}, `${one.name}, ${labels[i]}: ${short(value)}`)))
      })
      svg.append(draw("path", { class: `series-${number % 6}`, d: path, fill: "none" }))
    })
    const legend = make("ul", { class: "legend", "aria-hidden": "true" },
      ...series.map((one, number) => make("li", { class: `series-${number % 6}` }, one.name)))
    const head = make("tr", {}, make("th", { scope: "col" }, ""), ...series.map((one) => make("th", { scope: "col" }, one.name)))
    const rows = labels.map((label, i) => make("tr", {}, make("th", { scope: "row" }, label),
      ...series.map((one) => make("td", {}, one.values[i] === null || one.values[i] === undefined ? "" : short(one.values[i])))))
    const table = make("details", { class: "numbers" }, make("summary", {}, "As a table"),
      make("div", { class: "scroll" }, make("table", {}, make("caption", { class: "hidden" }, title), make("thead", {}, head), make("tbody", {}, ...rows))))
    element.replaceChildren(make("figure", { class: "chart" }, make("figcaption", {}, title), svg, legend, table))
  },
}
