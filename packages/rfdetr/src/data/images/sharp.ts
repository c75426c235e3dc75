// The image library, set up before its first use: every module takes it from here.
import sharp from "sharp";

// Parallelism comes from the loader's own threads. A cache of decoded files would grow to the whole dataset, and would
// show the old picture of a file that was overwritten.
sharp.concurrency(1);
sharp.cache(false);

export { sharp };
