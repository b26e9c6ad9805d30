// Hands what the microphone hears to the page, in pieces of about a tenth of a second (an AudioWorklet).

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super()
    this.piece = new Float32Array(4096)
    this.filled = 0
  }

  process([input]) {
    const heard = input[0]
    if (!heard) return true
    if (this.filled + heard.length > this.piece.length) {
      this.port.postMessage(this.piece.slice(0, this.filled))
      this.filled = 0
    }
    this.piece.set(heard, this.filled)
    this.filled += heard.length
    return true
  }
}

registerProcessor("recorder", Recorder)
