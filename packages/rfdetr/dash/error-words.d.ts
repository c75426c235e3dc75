// What the server sends under this name: the built module.
export { type KindWords, kindWords } from "../src/eval/error-analysis/error-words.js";
