const bar = element.querySelector('.bar');
const here = scene(bar.dataset.scene);
const [play, back, range, on, output, speed] =
  ['.play', '.back', 'input', '.on', 'output', 'select'].map(name => bar.querySelector(name));
const WHOLE_RUN_MS = 6000; // at normal speed, whatever T is
const SETTLE_MS = 180;     // keys and clicks come in bursts: tell Python once
const AHEAD_PX = 300;      // so far from the window it counts as in view: it is there when one comes
const SWEEP_MS = 9000;     // from 0 to T where t moves by itself
const SWEEP_AFTER_MS = 900;
const shown = document.createTextNode(''); // written in place: no node comes or goes in a drag
output.append(shown);
let playing = 0, startedAt = 0, startedFrom = 0, settling = 0, sweeping = 0, ended = false;

// What follows is drawn by the server: not while nobody sees it.
let inView = !bar.dataset.follower, owed = false;

function tell() {
  owed = !inView;
  if (inView) trigger('settled', { t: here.t });
}

function watchFollower() {
  const follower = document.getElementById(bar.dataset.follower);
  if (!follower) { requestAnimationFrame(watchFollower); return; } // it is mounted later
  new IntersectionObserver(entries => {
    inView = entries.at(-1).isIntersecting;
    if (inView && owed) settle();
  }, { rootMargin: `${AHEAD_PX}px` }).observe(follower);
}
if (!inView) watchFollower();

const settle = () => {
  clearTimeout(settling);
  settling = setTimeout(tell, SETTLE_MS);
};

function stop() {
  if (!playing) return;
  cancelAnimationFrame(playing);
  playing = 0;
  play.textContent = '▶';
  play.setAttribute('aria-label', say('Play'));
  settle();
}

function start() {
  if (here.t >= here.T) here.seek(0);
  startedAt = performance.now();
  startedFrom = here.t;
  play.textContent = '❚❚';
  play.setAttribute('aria-label', say('Pause'));
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
play.addEventListener('click', () => {
  if (ended) ended = false; // this click began by ending the sweep, and that is all it is for
  else if (playing) stop();
  else start();
});
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

// At first t moves by itself, to and fro, until somebody touches the page.
const touches = [['pointerdown', document], ['keydown', document], ['wheel', bar], ['input', range]];
const still = window.matchMedia('(prefers-reduced-motion: reduce)');

function sweep() {
  if (still.matches || here.named || bar.offsetParent === null) return;
  play.textContent = '❚❚';
  play.setAttribute('aria-label', say('Pause'));
  bar.classList.add('sweeping');
  for (const [event, where] of touches) where.addEventListener(event, endSweep, { capture: true, passive: true });
  startedAt = performance.now();
  startedFrom = here.T ? here.t / here.T : 0;
  sweeping = requestAnimationFrame(swing);
}

function swing(now) {
  if (!bar.isConnected) return;
  const way = (startedFrom + Math.max(0, now - startedAt) / SWEEP_MS) % 2;
  here.seek((way < 1 ? way : 2 - way) * here.T);
  sweeping = requestAnimationFrame(swing);
}

function endSweep(event) {
  if (!sweeping) return;
  cancelAnimationFrame(sweeping);
  sweeping = 0;
  ended = play.contains(event.target) && (event.type === 'pointerdown' || [' ', 'Enter'].includes(event.key));
  for (const [name, where] of touches) where.removeEventListener(name, endSweep, { capture: true });
  bar.classList.remove('sweeping');
  play.textContent = '▶';
  play.setAttribute('aria-label', say('Play'));
  settle();
}

if (bar.dataset.sweep) here.once(() => setTimeout(sweep, SWEEP_AFTER_MS));

here.keep('speed', () => (speed.value === '1' ? undefined : speed.value), value => { speed.value = value; });
here.on(bar, ({ data, t, T }, fresh) => {
  if (fresh) { range.max = T; settle(); } // other data, or another T: whoever listens starts anew
  range.value = t;
  shown.data = data.caption?.(t) ?? `${t} / ${T}`;
  range.setAttribute('aria-valuetext', shown.data.replace('/', 'of'));
});
