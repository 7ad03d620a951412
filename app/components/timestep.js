const bar = element.querySelector('.bar');
const here = scene(bar.dataset.scene);
const [play, back, range, on, output, speed] =
  ['.play', '.back', 'input', '.on', 'output', 'select'].map(name => bar.querySelector(name));
const WHOLE_RUN_MS = 6000; // at normal speed, whatever T is
const SETTLE_MS = 180;     // keys and clicks come in bursts: tell Python once
const shown = document.createTextNode(''); // written in place: no node comes or goes in a drag
output.append(shown);
let playing = 0, startedAt = 0, startedFrom = 0, settling = 0;

const settle = () => {
  clearTimeout(settling);
  settling = setTimeout(() => trigger('settled', { t: here.t }), SETTLE_MS);
};

function stop() {
  if (!playing) return;
  cancelAnimationFrame(playing);
  playing = 0;
  play.textContent = '▶';
  play.setAttribute('aria-label', 'Play');
  settle();
}

function start() {
  if (here.t >= here.T) here.seek(0);
  startedAt = performance.now();
  startedFrom = here.t;
  play.textContent = '❚❚';
  play.setAttribute('aria-label', 'Pause');
  playing = requestAnimationFrame(tick);
}

function tick(now) {
  if (!bar.isConnected) { playing = 0; return; } // there is no hook for unmounting
  const passed = Math.max(0, now - startedAt) / WHOLE_RUN_MS * Number(speed.value);
  here.seek(startedFrom + Math.floor(passed * here.T));
  if (here.t >= here.T) { stop(); return; }
  playing = requestAnimationFrame(tick);
}

function step(by) {
  stop();
  here.seek(here.t + by);
  settle();
}

range.addEventListener('input', () => { stop(); clearTimeout(settling); here.seek(Number(range.value)); });
range.addEventListener('change', settle);
play.addEventListener('click', () => (playing ? stop() : start()));
back.addEventListener('click', () => step(-1));
on.addEventListener('click', () => step(1));
speed.addEventListener('change', () => { if (playing) { stop(); start(); } });

bar.addEventListener('keydown', event => {
  if (event.key !== ' ' || event.target !== range) return;
  event.preventDefault();
  playing ? stop() : start();
});

// A lecturer presses an arrow key without looking for the slider first.
const keys = event => {
  if (!bar.isConnected) { document.removeEventListener('keydown', keys); return; }
  const active = document.activeElement; // a tab that was just clicked knows no arrow keys either
  const idle = !active || active === document.body || active.matches('[role=tab]');
  if (!idle || bar.offsetParent === null || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'ArrowLeft') step(-1);
  else if (event.key === 'ArrowRight') step(1);
};
document.addEventListener('keydown', keys);

here.keep('speed', () => (speed.value === '1' ? undefined : speed.value), value => { speed.value = value; });
here.on(bar, ({ data, t, T }, fresh) => {
  if (fresh) { range.max = T; settle(); } // other data, or another T: whoever listens starts anew
  range.value = t;
  shown.data = data.caption?.(t) ?? `${t} / ${T}`;
});
