// What benchmarks/drag.py measures inside the page: the same clockwork for both apps.
//
// Each `input` event of a slider waits in a list until its pictures are drawn: `drawn()` is called
// at the end of the animation frame that drew them. All times are of performance.now()'s clock.
window.benchmark = (() => {
  'use strict';
  let waiting = []; // input events whose pictures are not drawn yet
  let samples = []; // one an input event, in milliseconds
  let frames = [];  // from each animation frame to the next
  let lastFrame = 0, pointer = 0, running = false;
  let wake = () => {};

  document.addEventListener('pointermove', event => { pointer = event.timeStamp; }, true);
  document.addEventListener('input', event => {
    if (running) waiting.push({ input: event.timeStamp, pointer });
  }, true);

  function drawn() {
    const now = performance.now();
    samples.push(...waiting.map(({ input, pointer }) => (
      { drawn: now - input, fromMouse: now - pointer })));
    waiting = [];
    wake();
  }

  function frame(now) {
    if (!running) return;
    if (lastFrame) frames.push(now - lastFrame);
    lastFrame = now;
    requestAnimationFrame(frame);
  }

  function start() {
    [waiting, samples, frames, lastFrame, running] = [[], [], [], 0, true];
    requestAnimationFrame(frame);
  }

  function stop() {
    running = false;
    return { samples, frames };
  }

  // Resolves as soon as that many events are on the screen.
  const until = many => new Promise(resolve => {
    wake = () => { if (samples.length >= many) resolve(); };
    wake();
  });

  return { start, stop, drawn, until };
})();

// Our page: the view that subscribes last is drawn last. In every tenth frame, after the clock
// was read, it looks whether all pictures have changed since it looked before.
window.benchmark.watchScene = (name, selector) => {
  const pixelsOf = canvas => canvas.getContext('2d')
    .getImageData(0, 0, canvas.width, canvas.height).data.join();
  const looked = { changed: 0, unchanged: 0 };
  let frame = 0, seen = [];
  window.unnoise.scene(name).on(document.body, () => {
    window.benchmark.drawn();
    if (frame++ % 10) return;
    const pictures = [...document.querySelectorAll(selector)].map(pixelsOf);
    const changed = pictures.length > 0 && pictures.every((pixels, i) => pixels !== seen[i]);
    looked[changed ? 'changed' : 'unchanged']++;
    seen = pictures;
  });
  window.benchmark.looked = looked;
};

// The plain way: drawn is the frame after all images have loaded new pictures and decoded them.
window.benchmark.watchImages = selector => {
  const images = () => [...document.querySelectorAll(selector)];
  let shown = images().map(image => image.src);
  document.addEventListener('load', async () => {
    const now = images();
    if (!now.every((image, i) => image.complete && image.src !== shown[i])) return;
    shown = now.map(image => image.src);
    await Promise.all(now.map(image => image.decode()));
    requestAnimationFrame(window.benchmark.drawn);
  }, true);
};
