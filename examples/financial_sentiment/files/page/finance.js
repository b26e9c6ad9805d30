import { ask, chart, make, model, problem, status } from "./page.js"

const at = (id) => document.getElementById(id)
const REPORT = "finance-report"
const AT_ONCE = 4
const MOST = 500
const MOOD = { positive: "good", neutral: "", negative: "bad" }
const DATED = /^(\d{4}-\d{2}-\d{2})[\s,;:\t]+(.*)$/
const SAMPLE = `2026-03-02 Quarterly profit at Harlow Foods rose 12% to $310 million
2026-03-02 华岭食品三季度净利润同比增长32%
2026-03-03 Regulator fines Brightwell Bank $150 million over weak controls
2026-03-03 江川银行因反洗钱不力被罚1.5亿元
2026-03-04 Harlow Foods names Maria Jensen as chief executive
2026-03-04 央行维持基准利率不变
2026-03-05 Brightwell Bank shares tumble after downgrade
2026-03-05 江川银行全年营收超出市场预期
2026-03-06 Harlow Foods recalls frozen meals over a labelling fault`

let asking = null
let links = []

/** Returns a score with its sign, as it is written; nothing is less than zero by less than a hundredth. */
function signed(value) {
  const shown = Math.abs(value).toFixed(2)
  return `${value < 0 && Number(shown) ? "−" : "+"}${shown}`
}

/** Returns the documents of the box: `{ text, date }`. */
function documents() {
  return at("text").value.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const [, date, text] = DATED.exec(line) ?? []
    return date ? { date, text } : { text: line }
  })
}

async function analyse(document, signal) {
  try {
    const { entities, entity_kinds: kinds, sentences, sentence_scores: scores, probabilities, ...found } =
      await ask(model, { text: document.text }, { signal })
    return { ...document, ...found, entities: entities.map((name, i) => ({ name, kind: kinds[i] })) }
  } catch (error) {
    if (error.name === "AbortError" || error.status === 0) throw error // nobody answers: the rest need not be asked
    return { ...document, error: error.message.replace(/^step '\w+': /, "") }
  }
}

/** Asks about all documents, a few at once; returns the answers in their order. */
async function all(given, signal) {
  const found = Array(given.length)
  let next = 0
  let done = 0
  const worker = async () => {
    while (next < given.length) {
      const mine = next++
      found[mine] = await analyse(given[mine], signal)
      at("progress").value = ++done
      status(at("status"), `${done} of ${given.length} …`, "busy")
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return found
}

async function run() {
  const given = documents()
  if (!given.length) {
    status(at("status"), "Write a document first.", "error")
    return at("text").focus()
  }
  if (given.length > MOST) return status(at("status"), `At most ${MOST} documents here: use the command line for more.`, "error")
  asking?.abort()
  const mine = (asking = new AbortController())
  busy(true, given.length)
  try {
    const found = await all(given, mine.signal)
    show(found)
    const good = found.filter((one) => !one.error)
    if (good.length) await report(good, mine.signal)
    const failed = found.length - good.length
    status(at("status"), `${good.length} analysed${failed ? `, ${failed} could not be` : ""}.`, good.length ? "" : "error")
  } catch (error) {
    mine.abort()
    if (mine === asking) problem(at("status"), error)
  } finally {
    if (mine === asking) busy(false)
  }
}

function busy(on, most = 1) {
  at("go").disabled = on
  at("stop").hidden = at("progress").hidden = !on
  at("progress").max = most
  at("progress").value = 0
}

function show(found) {
  at("documents").replaceChildren(...found.map(entry))
  at("results").hidden = false
}

function entry(one) {
  if (one.error) {
    return make("li", {}, make("p", { class: "text" }, one.text), make("p", { class: "status", "data-kind": "error" }, one.error))
  }
  const badges = make("div", { class: "facts" },
    make("span", { class: `badge ${MOOD[one.sentiment]}` }, `${one.sentiment} ${signed(one.score)}`),
    make("span", { class: "badge" }, one.topic),
    make("span", { class: "badge" }, one.language === "zh" ? "Chinese" : "English"))
  const names = one.entities.flatMap(({ name, kind }, i) => [i ? ", " : "", `${name} `, make("span", { class: "kind" }, kind)])
  const facts = make("dl", {}, make("dt", {}, "Keywords"), make("dd", {}, one.keywords.join(", ") || "none"),
    make("dt", {}, "Names"), make("dd", {}, ...(names.length ? names : ["none"])))
  return make("li", {}, make("p", { class: "text", lang: one.language }, one.text), badges, facts)
}

/** Has a report made of the documents, draws its charts and offers it as files. */
async function report(found, signal) {
  const { summary: text, html } = await ask(REPORT, { documents: JSON.stringify(found) }, { signal })
  const summary = JSON.parse(text)
  at("charts").hidden = false
  const days = summary.by_day
  if (days.length) {
    chart.line(at("over-time"), {
      title: "Mean score of each day, from -1 (bad) to 1 (good)",
      labels: days.map(({ day }) => day.slice(5)),
      series: [{ name: "mean score", values: days.map((day) => day.mean_score) }],
      low: -1,
      high: 1,
    })
  } else {
    at("over-time").replaceChildren(make("p", { class: "quiet" }, "No document has a date."))
  }
  const rows = summary.by_entity.map(({ entity, mean_score: value, count }) => ({
    name: entity, value, text: `${signed(value)} in ${count}`,
  }))
  if (rows.length) chart.bar(at("by-entity"), { title: "Mean score of each name", rows, most: 1 })
  else at("by-entity").replaceChildren(make("p", { class: "quiet" }, "No names were found."))
  offer("html", html, "text/html;charset=utf-8")
  offer("json", JSON.stringify(summary, null, 1), "application/json")
}

function offer(id, text, type) {
  links = links.filter((link) => link.id !== id || URL.revokeObjectURL(link.url))
  const url = URL.createObjectURL(new Blob([text], { type }))
  links.push({ id, url })
  at(id).href = url
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault()
  run()
})
at("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault()
    if (!at("go").disabled) run()
  }
})
at("stop").addEventListener("click", () => asking?.abort())
at("sample").addEventListener("click", () => {
  at("text").value = SAMPLE
  run()
})
