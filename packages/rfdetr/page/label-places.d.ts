// What a page has under this name: the built module.
export { LabelPlaces } from "../src/pictures/drawing/label-places.js";
