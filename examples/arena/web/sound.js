// A few tones made on the spot. Silent until asked for.

export class Sound {
  #context = null;
  isOn = false;

  toggle() {
    this.isOn = !this.isOn;
    if (this.isOn) this.#context ??= new AudioContext();
    return this.isOn;
  }

  shot(loudness) {
    this.#tone("square", 680, 210, 0.09, 0.03 * loudness);
  }

  boom(loudness) {
    this.#tone("sawtooth", 140, 28, 0.5, 0.13 * loudness);
    this.#tone("triangle", 72, 30, 0.7, 0.16 * loudness);
  }

  hit() {
    this.#tone("square", 190, 80, 0.12, 0.07);
  }

  gift() {
    this.#tone("sine", 520, 1040, 0.22, 0.09);
  }

  #tone(shape, from, to, seconds, loudness) {
    if (!this.isOn || loudness < 0.004) return;
    const { currentTime: now, destination } = this.#context;
    const tone = new OscillatorNode(this.#context, { type: shape, frequency: from });
    const gain = new GainNode(this.#context, { gain: loudness });
    tone.frequency.exponentialRampToValueAtTime(to, now + seconds);
    gain.gain.exponentialRampToValueAtTime(0.0001, now + seconds);
    tone.connect(gain).connect(destination);
    tone.start(now);
    tone.stop(now + seconds);
  }
}
