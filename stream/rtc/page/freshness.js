// Of what comes back nothing is newly shown that is older than a second: the last picture stays instead.
// A <video> shows whatever it has decoded, and says so only then. So while pictures may come late, after a
// pause or an old one, a canvas covers it, and gets those alone that are new enough.
"use strict";

const OLD_MS = 1000;
// From below this age, and after no longer pause, the next picture cannot be too old.
const DOUBTFUL_MS = 400;
const SURE_MS = 200;
// When all that come are too old for so long, the way has become longer, and they count as new. A time in
// which none comes is none of it: what waited behind a standstill is old.
const LONGER_MS = 8000;
// Pictures that are so far back in time, or ahead of it, are counted by another clock. One that only comes
// late is not: it waited.
const OTHER_CLOCK_MS = 8000;
// The fastest picture of so long has the age 0: clocks drift.
const LEAST_OF_MS = 60000;
const BUCKET_MS = 1000;
const LOOK_MS = 50;
const TICKS_A_MS = 90; // RTP's clock for pictures

// How old pictures are above the fastest one of late; times are those of the page, ms.
class Ages {
  #last = null;
  #delay = 0;
  #buckets = [];

  // The age of a picture (RTP timestamp) that is there now.
  of(stamp, now) {
    if (this.#last) {
      const step = ((stamp - this.#last.stamp) | 0) / TICKS_A_MS; // 32 bits, which wrap
      const change = now - this.#last.now - step;
      if (change < -OTHER_CLOCK_MS || (change > OTHER_CLOCK_MS && step < 0)) this.#buckets = [];
      this.#delay += change;
    }
    this.#last = { stamp, now };
    const newest = this.#buckets.at(-1);
    if (!newest || now - newest.from > BUCKET_MS) this.#buckets.push({ from: now, least: this.#delay });
    else newest.least = Math.min(newest.least, this.#delay);
    this.#buckets = this.#buckets.filter(({ from }) => now - from < LEAST_OF_MS);
    return this.#delay - Math.min(...this.#buckets.map(({ least }) => least));
  }

  // From now on this way counts as the fastest.
  forget() {
    this.#buckets = [{ from: this.#last.now, least: this.#delay }];
  }
}

// Args: video: what comes back. cover: a canvas over it.
class Freshness {
  #video;
  #cover;
  #ages = new Ages();
  #cameAt = null;
  #oldSince = null;
  #shownAt = null;

  constructor(video, cover) {
    this.#video = video;
    this.#cover = cover;
    this.shown = null; // which picture: its RTP timestamp; null: none, or the browser does not say
    if (!video.requestVideoFrameCallback) return;
    const note = (_, { rtpTimestamp }) => {
      video.requestVideoFrameCallback(note);
      if (rtpTimestamp !== undefined) this.#take(rtpTimestamp, performance.now());
    };
    video.requestVideoFrameCallback(note);
    setInterval(() => this.#look(), LOOK_MS);
    // Of a page that nobody sees pictures are not told; what is there when it is seen again may be old.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && this.#cameAt !== null) this.#draw();
    });
  }

  // How long nothing was newly shown, ms; null: the browser does not say, nor of a page that nobody sees.
  get still() {
    return this.#shownAt === null || document.hidden ? null : performance.now() - this.#shownAt;
  }

  // Another call's pictures come next.
  begin() {
    this.#ages = new Ages();
    this.#cameAt = this.#oldSince = this.#shownAt = this.shown = null;
    this.#cover.hidden = true;
  }

  #take(stamp, now) {
    const age = this.#ages.of(stamp, now);
    this.#cameAt = now;
    if (age > OLD_MS) {
      this.#oldSince ??= now;
      if (now - this.#oldSince < LONGER_MS) return;
      this.#ages.forget();
    }
    this.#oldSince = null;
    this.#shownAt = now;
    this.shown = stamp;
    if (age < SURE_MS || age > OLD_MS) this.#cover.hidden = true;
    else if (age > DOUBTFUL_MS || !this.#cover.hidden) this.#draw();
  }

  #look() {
    const waits = this.#cameAt !== null && performance.now() - this.#cameAt > DOUBTFUL_MS;
    if (waits && this.#cover.hidden && !document.hidden) this.#draw();
  }

  // Cover the video with what it shows now.
  #draw() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (!width) return;
    if (this.#cover.width !== width || this.#cover.height !== height) Object.assign(this.#cover, { width, height });
    this.#cover.getContext("2d").drawImage(this.#video, 0, 0);
    this.#cover.hidden = false;
  }
}
