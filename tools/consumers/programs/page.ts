// A page that detects with an exported file: bundled for a browser, and shown in one.
import { classColors, type Detection, type LoadOptions, type PredictOptions, RFDETR } from "rfdetr/browser";

const options: LoadOptions = { progress: (bytes, total) => console.log(bytes, total) };
// @ts-expect-error: did you mean progress?
const wrongLoad: LoadOptions = { progres: () => {} };
// @ts-expect-error: did you mean threshold?
const wrongPredict: PredictOptions = { treshold: 0 };

export async function detect(file: string, picture: ImageBitmapSource): Promise<Detection[]> {
  const detector = await RFDETR.load(file, options);
  return detector.predict(await createImageBitmap(picture), { threshold: 0 });
}

Object.assign(globalThis, { detect, classColors, wrongLoad, wrongPredict });
