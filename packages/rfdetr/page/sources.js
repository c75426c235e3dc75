// @ts-check
// Where pictures come from: files, the clipboard, the camera, a video.

/** Pictures one after another; a video gives the frame that is shown when the one before is done. */
export class Sources {
  /** @type {MediaStream | null} */
  #camera = null;
  #turn = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {(picture: ImageBitmap) => Promise<void>} detect
   * @param {{ moving: (moving: boolean) => void, failed: (message: string) => void }} told
   */
  constructor(video, detect, told) {
    this.video = video;
    this.detect = detect;
    this.told = told;
  }

  /** @param {Blob} file */
  async open(file) {
    this.stop();
    try {
      if (file.type.startsWith("video/")) {
        this.video.src = URL.createObjectURL(file);
        await this.#play();
      } else await this.detect(await createImageBitmap(file, { premultiplyAlpha: "none" }));
    } catch {
      this.told.failed("This file is no picture or video that the browser can read");
    }
  }

  async openCamera() {
    this.stop();
    try {
      if (navigator.mediaDevices === undefined) throw new Error("a camera needs a page from https or localhost");
      this.#camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
      this.video.srcObject = this.#camera;
      await this.#play();
    } catch (error) {
      this.told.failed(`The camera cannot be used: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** Ends what moves. */
  stop() {
    this.#turn++;
    this.video.pause();
    for (const track of this.#camera?.getTracks() ?? []) track.stop();
    this.#camera = null;
    this.video.srcObject = null;
    if (this.video.src !== "") {
      URL.revokeObjectURL(this.video.src);
      this.video.removeAttribute("src");
      this.video.load();
    }
    this.told.moving(false);
  }

  /** @returns whether it plays now */
  pause() {
    if (this.video.paused) void this.video.play().then(() => this.#frames(++this.#turn));
    else this.video.pause();
    return this.video.paused;
  }

  async #play() {
    await this.video.play();
    this.told.moving(true);
    void this.#frames(++this.#turn);
  }

  /** @param {number} turn */
  async #frames(turn) {
    while (turn === this.#turn && !this.video.paused) {
      if (this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA)
        await this.detect(await createImageBitmap(this.video));
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }
}
