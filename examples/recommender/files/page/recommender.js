import { ask, chart, make, model, problem, status } from "./page.js"

const at = (id) => document.getElementById(id)
const GENRES = ["Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
  "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"]
const STARS = ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]
const CALM = 250 // milliseconds without a further change after which the server is asked
const LIKELY = 0.35 // what is less like the text than this is not suggested
const SURE = 0.6 // and less than this is not taken for it: as in steps.py

const seen = new Map() // number of a film -> { name, rating }, the latest last
let found = [] // the films of the latest suggestions: { id, name, score }
let searching = null
let asking = null
let waiting = 0

// ------------------------------------------------------------------------------ naming films

/** Asks for the films whose titles are like a text; empty where a newer text is being asked about. */
async function search(text) {
  searching?.abort()
  const mine = (searching = new AbortController())
  const { films, titles, years, scores } = await ask("films", text, { signal: mine.signal })
  return films
    .map((id, i) => ({ id, name: years[i] ? `${titles[i]} (${years[i]})` : titles[i], score: scores[i] }))
    .filter((film) => film.score >= LIKELY)
}

async function suggest() {
  const text = at("title").value.trim()
  const chosen = found.find((film) => film.name === text)
  if (chosen) return add(chosen)
  if (text.length < 2) return
  try {
    found = await search(text)
    at("titles").replaceChildren(...found.map((film) => make("option", { value: film.name })))
  } catch (error) {
    if (error.name !== "AbortError") problem(at("found"), error)
  }
}

async function submit(event) {
  event.preventDefault()
  const text = at("title").value.trim()
  if (!text) return status(at("found"), "Type a part of a title.")
  try {
    const [best] = await search(text)
    if (best?.score >= SURE) add(best)
    else status(at("found"), `No film is called “${text}”.`, "error")
  } catch (error) {
    problem(at("found"), error)
  }
}

function add(film, rating = 5) {
  searching?.abort()
  seen.delete(film.id)
  seen.set(film.id, { name: film.name, rating })
  found = []
  at("titles").replaceChildren()
  at("title").value = ""
  at("title").focus()
  status(at("found"), `Added ${film.name}.`)
  showSeen()
  refresh()
}

function remove(id) {
  const { name } = seen.get(id)
  seen.delete(id)
  status(at("found"), `Removed ${name}.`)
  at("title").focus()
  showSeen()
  refresh()
}

function showSeen() {
  const rows = [...seen].reverse().map(([id, { name, rating }]) =>
    make("li", {}, make("span", {}, name),
      make("select", { "aria-label": `Rating of ${name}`, onchange: (event) => rate(id, Number(event.target.value)) },
        ...STARS.map((text, i) => make("option", { value: i + 1, selected: i + 1 === rating }, text))),
      make("button", { type: "button", "aria-label": `Remove ${name}`, onclick: () => remove(id) }, "×")))
  at("seen").replaceChildren(...rows)
  at("none").hidden = rows.length > 0
}

function rate(id, rating) {
  seen.get(id).rating = rating
  refresh()
}

// --------------------------------------------------------------------------- recommendations

function refresh() {
  clearTimeout(waiting)
  waiting = setTimeout(recommend, CALM)
}

function wishes() {
  return {
    history: [...seen.keys()],
    ratings: [...seen.values()].map((film) => film.rating),
    genres: at("genre").value ? [at("genre").value] : [],
    diversity: Number(at("diversity").value) / 100,
    threshold: Number(at("threshold").value) / 100,
    age: Number(at("age").value) || 0,
    gender: at("gender").value,
  }
}

async function recommend() {
  asking?.abort()
  const mine = (asking = new AbortController())
  status(at("status"), "Looking …", "busy")
  const begin = performance.now()
  try {
    const answer = await ask(model, wishes(), { signal: mine.signal })
    show(answer)
    const count = answer.films.length
    const took = Math.round(performance.now() - begin)
    status(at("status"), count ? `${count} ${count === 1 ? "film" : "films"}, in ${took} ms.` : "No film fits.")
  } catch (error) {
    if (mine !== asking) return // a newer question is on its way
    show({ films: [], notes: [] })
    problem(at("status"), error)
  }
}

function show({ films, titles, years, genres, scores, reasons, notes }) {
  const most = Math.max(...(scores ?? []), 1e-9)
  const rows = films.map((id, i) => {
    const name = years[i] ? `${titles[i]} (${years[i]})` : titles[i]
    return make("li", {},
      make("h3", {}, name),
      make("button", { type: "button", "aria-label": `I saw ${name}`, onclick: () => add({ id, name }, 4) }, "Saw it"),
      make("p", { class: "kinds" }, genres[i].replaceAll("|", ", ")),
      make("p", { class: "why" }, `${reasons[i]} (score\u00a0${(100 * scores[i]).toFixed(0)}\u00a0%)`),
      bar(scores[i] / most))
  })
  at("films").replaceChildren(...rows)
  at("notes").replaceChildren(...notes.map((note) => make("li", {}, note)))
  at("notes").hidden = notes.length === 0
  showGenres(genres ?? [])
}

function bar(share) {
  const space = "http://www.w3.org/2000/svg"
  const svg = document.createElementNS(space, "svg")
  svg.setAttribute("viewBox", "0 0 100 4")
  svg.setAttribute("preserveAspectRatio", "none")
  svg.setAttribute("aria-hidden", "true")
  for (const [name, width] of [["ground", 100], ["above", 100 * share]]) {
    const part = document.createElementNS(space, "rect")
    part.setAttribute("class", name)
    part.setAttribute("width", width)
    part.setAttribute("height", 4)
    svg.append(part)
  }
  return svg
}

function showGenres(lists) {
  const counts = new Map()
  for (const name of lists.flatMap((text) => text.split("|")).filter(Boolean)) {
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const rows = [...counts].sort(([a, n], [b, m]) => m - n || a.localeCompare(b))
    .map(([name, value]) => ({ name, value, text: `${value} of ${lists.length}` }))
  if (rows.length) chart.bar(at("chart"), { title: "Genres of the recommended films", rows, most: lists.length })
  else at("chart").replaceChildren(make("p", { class: "quiet" }, "No films."))
}

// ------------------------------------------------------------------------------------- begin

at("genre").append(...GENRES.map((name) => make("option", { value: name }, name)))
at("title").addEventListener("input", suggest)
at("search").addEventListener("submit", submit)
for (const id of ["genre", "age", "gender"]) at(id).addEventListener("input", refresh)
for (const id of ["diversity", "threshold"]) {
  at(id).addEventListener("input", () => {
    at(`${id}-told`).value = `${at(id).value} %`
    refresh()
  })
}
recommend()
