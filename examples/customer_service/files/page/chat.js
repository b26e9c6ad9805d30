import { base64, make, model, problem, record, status, stream } from "./page.js"

const at = (id) => document.getElementById(id)
const REASONS = {
  asked_for_person: "You asked for a person.",
  out_of_scope: "The question is not about the shop.",
  not_sure: "The intent is not sure enough.",
  no_passage: "No passage is near enough.",
}
const SECONDS = 30
const KEPT = 20 // messages of the conversation that are sent; the server uses the last few
let history = []
let asking = null
let recording = null

/** Asks the question, shows the reply as it comes, and what was understood. `shown`: the customer's words. */
async function ask(inputs, shown) {
  asking?.abort()
  const mine = (asking = new AbortController())
  const customer = say("customer", shown)
  const reply = say("draft", "…")
  status(at("status"), "Looking …", "busy")
  const begin = performance.now()
  const found = {}
  let first = null
  let draft = ""
  try {
    if (history.length) inputs.messages = JSON.stringify(history)
    await stream(model, inputs, (piece) => {
      first ??= performance.now() - begin
      Object.assign(found, piece)
      if ("opening" in piece) {
        draft = piece.opening
        if (piece.transcript) customer.textContent = piece.transcript
        understood(found)
      }
      draft += piece.draft ?? ""
      if (draft) reply.textContent = draft
    }, { signal: mine.signal })
    reply.textContent = found.text
    reply.className = "service"
    history.push({ role: "user", content: inputs.text ?? found.transcript }, { role: "assistant", content: found.text })
    history = history.slice(-KEPT)
    understood(found)
    at("source").textContent = !found.passage ? "a fixed text" : found.grounded ? "written by the model, says what the passage says" : "the passage itself: the model's draft said something else"
    at("time").textContent = `${seconds(first)} to the first words, ${seconds(performance.now() - begin)} in all`
    status(at("status"), "")
    reply.scrollIntoView({ block: "nearest" })
  } catch (error) {
    reply.remove()
    if (mine === asking) problem(at("status"), error)
  }
}

const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`

function say(who, text) {
  const line = make("li", { class: who }, text)
  at("said").append(line)
  line.scrollIntoView({ block: "nearest" })
  return line
}

function understood(found) {
  at("transcript").textContent = found.transcript || "– (typed)"
  at("intent").textContent = found.intent.replaceAll("_", " ") || "–"
  at("confidence").value = found.confidence
  at("percent").textContent = `${Math.round(100 * found.confidence)} %`
  at("entities").textContent = found.entities.map((text, i) => `${text} (${found.entity_kinds[i].toLowerCase()})`).join(", ") || "none"
  at("passage").textContent = found.passage ? `${found.passage} (${found.passage_id})` : "none"
  at("handover").hidden = !found.handover
  at("handover").textContent = found.handover ? `Handed over to a person. ${REASONS[found.reason] ?? ""}` : ""
}

async function listen(file, name) {
  await ask({ audio: { b64: await base64(file) } }, name)
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault()
  const text = at("text").value.trim()
  if (!text) return at("text").focus()
  at("text").value = ""
  ask({ text }, text)
})

at("speak").addEventListener("click", async () => {
  try {
    if (recording) return recording.stop()
    recording = await record({ seconds: SECONDS })
    at("speak").textContent = "Stop and send"
    at("speak").classList.add("live")
    at("speak").setAttribute("aria-pressed", "true")
    status(at("status"), `Listening … at most ${SECONDS} s.`, "busy")
    const sound = await recording.done
    quiet()
    await listen(sound, "(spoken)")
  } catch (error) {
    quiet()
    problem(at("status"), error)
  }
})

function quiet() {
  recording = null
  at("speak").textContent = "Speak"
  at("speak").classList.remove("live")
  at("speak").setAttribute("aria-pressed", "false")
}

at("file").addEventListener("change", () => {
  const [file] = at("file").files
  at("file").value = ""
  if (file) listen(file, file.name)
})

at("anew").addEventListener("click", () => {
  asking?.abort()
  history = []
  at("said").replaceChildren()
  status(at("status"), "")
  at("text").focus()
})
