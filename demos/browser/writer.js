// A character model over its two graphs: `start` gives the first state, `step` reads characters and says what follows.

const MODEL_FILES = { start: "start.onnx", step: "step.onnx", tokenizer: "tokenizer.json" };

/** The model of a folder, which `rnn-hub export` wrote. `ort` is onnxruntime-web. */
export async function loadWriter(ort, folder) {
  const files = {};
  for (const [name, file] of Object.entries(MODEL_FILES)) {
    const response = await fetch(`${folder}/${file}`);
    if (!response.ok) throw new Error(`${folder}/${file} is missing: run demos/browser/prepare.sh`);
    files[name] = name === "tokenizer" ? await response.json() : new Uint8Array(await response.arrayBuffer());
  }
  const [start, step] = await Promise.all([files.start, files.step].map((file) => ort.InferenceSession.create(file)));
  return new Writer(ort, start, step, files.tokenizer.model.vocab);
}

/** Writes texts; the state of the network is kept here, between the steps. */
export class Writer {
  constructor(ort, start, step, vocabulary) {
    Object.assign(this, { ort, start, step, vocabulary: new Map(Object.entries(vocabulary)) });
    this.characters = [];
    for (const [character, id] of this.vocabulary) this.characters[id] = [...character].length === 1 ? character : null;
  }

  /** The tokens of a text; a character that the model does not know is an error that names it. */
  encode(text) {
    const characters = [...text.normalize("NFC")];
    if (!characters.length) throw new Error("The beginning is empty: give at least one character.");
    return characters.map((character) => {
      const id = this.vocabulary.get(character);
      if (id === undefined) throw new Error(`The model does not know the character ${JSON.stringify(character)}: leave it out.`);
      return id;
    });
  }

  /** Characters, one after the other, that continue a text. `random` gives numbers from 0 to 1. */
  async *write(text, { temperature, length, random }) {
    let tokens = this.encode(text);
    let state = Object.values(await this.start.run({ input_ids: this.integers(tokens) }));
    for (let count = 0; count < length; count += 1) {
      const inputs = { input_ids: this.integers(tokens), attention_mask: this.integers(tokens.map(() => 1)) };
      state.forEach((part, number) => (inputs[`state_${number}`] = part));
      const outputs = await this.step.run(inputs);
      state = state.map((_, number) => outputs[`next_state_${number}`]);
      const size = this.characters.length;
      const logits = outputs.logits.data.slice(-size).map((value, id) => (this.characters[id] === null ? -Infinity : value));
      tokens = [sample(logits, temperature, random)];
      yield this.characters[tokens[0]];
    }
  }

  integers(values) {
    return new this.ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  }
}

/** The number of one of the logits, drawn from softmax(logits / temperature); at temperature 0 the largest. */
export function sample(logits, temperature, random) {
  const best = logits.indexOf(Math.max(...logits));
  if (temperature === 0) return best;
  const weights = Array.from(logits, (value) => Math.exp((value - logits[best]) / temperature));
  let rest = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const found = weights.findIndex((weight) => (rest -= weight) < 0);
  return found < 0 ? best : found;
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A number from a field's text; what is none, or lies outside, is an error that names field, value and remedy. */
export function readNumber(name, text, least, most, whole = false) {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!(value >= least && value <= most) || (whole && !Number.isInteger(value))) {
    throw new Error(`${name} is ${JSON.stringify(text)}: give a ${whole ? "whole " : ""}number from ${least} to ${most}.`);
  }
  return value;
}
