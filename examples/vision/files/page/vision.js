import { ask, base64, chart, dropzone, make, model, problem, status } from "./page.js"

const at = (id) => document.getElementById(id)
const DIRECT = ["image/png", "image/jpeg"] // other kinds travel in JSON
let asking = null

at("shown").addEventListener("error", () => (at("shown").hidden = true)) // it is no picture; the server says so

/** Shows a picture, asks what is in it, and shows the answer. A newer picture gives up an older one. */
async function show(file, name) {
  asking?.abort()
  const mine = (asking = new AbortController())
  URL.revokeObjectURL(at("shown").src)
  at("shown").src = URL.createObjectURL(file)
  at("shown").alt = `Your picture: ${name}`
  at("caption").textContent = name
  at("picture").hidden = at("shown").hidden = false
  at("bars").replaceChildren()
  status(at("status"), "Looking …", "busy")
  const begin = performance.now()
  try {
    const input = DIRECT.includes(file.type) ? file : await base64(file)
    const { label, score } = await ask(model, input, { signal: mine.signal })
    chart.bar(at("bars"), {
      title: "The five likeliest things",
      rows: label.map((name, i) => ({ name, value: score[i], text: `${(100 * score[i]).toFixed(1)} %` })),
      most: 1,
    })
    at("bars").scrollIntoView({ block: "nearest" }) // on a phone it is below what is seen
    status(at("status"), `Answered in ${Math.round(performance.now() - begin)} ms.`)
  } catch (error) {
    if (mine !== asking) return // a newer picture is being asked about
    at("bars").replaceChildren(make("p", { class: "quiet" }, "No answer."))
    problem(at("status"), error)
  }
}

dropzone(at("drop"), (file) => show(file, file.name), (file) =>
  status(at("status"), `${file.name} is no picture of a kind that is read here.`, "error"))

for (const button of document.querySelectorAll("[data-sample]")) {
  button.addEventListener("click", async () => {
    const response = await fetch(button.dataset.sample)
    await show(await response.blob(), button.dataset.sample)
  })
}
