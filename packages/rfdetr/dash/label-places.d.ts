// What the server sends under this name: the built module.
export { LabelPlaces } from "../src/predict/drawing/label-places.js";
